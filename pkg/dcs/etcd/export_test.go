package etcd

import "fmt"

// WatchText shows the state of the watch, for messages of failed tests.
func (s *Session) WatchText() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.watch
	return fmt.Sprintf("stream %v, delivered %d, ahead %d, asked %d, timer %v, view of %d",
		w.stream != nil, w.delivered, w.ahead, w.asked, w.timer != nil, s.mirror.revision)
}
