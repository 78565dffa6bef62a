package etcd

import (
	"context"
	"fmt"
)

// WatchText shows the state of the watch, for messages of failed tests.
func (s *Session) WatchText() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.watch
	return fmt.Sprintf("stream %v, delivered %d, ahead %d, asked %d, timer %v, view of %d",
		w.stream != nil, w.delivered, w.ahead, w.asked, w.timer != nil, s.mirror.revision)
}

// WatchFrom opens a watch from a revision and gives the error that its first message after the confirmation is.
func (s *Session) WatchFrom(ctx context.Context, revision int64) error {
	stream, err := s.openWatch(ctx, revision)
	if err == nil {
		_, err = receive(stream)
	}
	return err
}
