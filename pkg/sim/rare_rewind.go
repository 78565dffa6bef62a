package sim

import (
	"errors"
	"time"

	"github.com/hathi-ha/hathi/pkg/dcs"
)

// Former primaries that have to be rewound, and what goes wrong with that.

const (
	rewindCutOff  = "pg_rewind cut off"
	rewindFails   = "pg_rewind fails"
	rewindForbids = "no pg_rewind"
)

// rewinding has the leaders die often, with WAL that nobody else has. Whether what can't be rewound may be replaced is up
// to the seed.
func rewinding(w *world) {
	w.base.UsePgRewind = true
	w.base.RemoveDataDirOnDivergedTimeline = false
	w.base.RemoveDataDirOnRewindFailure = w.rare.IntN(3) > 0
}

func forbidRewind(w *world) {
	rewinding(w)
	w.base.UsePgRewind = false
}

// depose takes the leader down, its agent with it, so that another one leads when it comes back.
func (w *world) depose(*node) bool {
	n := w.node(w.etcd.text(dcs.KeyLeader))
	if n == nil || w.paused || w.active > 0 || w.check.healthy() != "" {
		return false
	}
	w.mark("rare: leader deposed")
	w.crashNode(n)
	return true
}

func (w *world) deposeForbidden(n *node) bool {
	if !w.depose(n) {
		return false
	}
	w.befalls(n, rewindForbids)
	return true
}

// beginRewind is called before pg_rewind changes anything.
func (s *server) beginRewind() error {
	w := s.w
	if w.rarely(rewindFails, 2) {
		w.befalls(s.n, rewindFails)
		if l := w.node(w.etcd.text(dcs.KeyLeader)); l != nil && w.rare.IntN(4) > 0 {
			w.crashServer(l) // which is why
			w.sleep(between(w.rare, 100*time.Millisecond, time.Second))
		}
		return errors.New("rewind: could not connect to the server; the data directory is as it was")
	}
	s.rewindCut = w.suffers(rewindCutOff) // the mark that it leaves if it does not come to its end
	return nil
}

// cutRewind is called when it has changed something.
func (s *server) cutRewind() error {
	w := s.w
	if !s.rewindCut || !w.rarely(rewindCutOff, 2) {
		return nil
	}
	w.befalls(s.n, rewindCutOff)
	if l := w.node(w.etcd.text(dcs.KeyLeader)); l != nil && w.rare.IntN(3) == 0 {
		w.crashNode(l) // and nobody is there to copy from
	}
	if w.rare.IntN(2) == 0 && s.n.fenced() {
		w.after(0, func() { w.crashAgent(s.n) })
		w.sleep(time.Second) // the agent is dead before that is over
	}
	return errors.New("rewind: the data directory is unusable now")
}

// failsToCopy: a base backup breaks off.
func (s *server) failsToCopy() error {
	if s.w.rarely(rewindCutOff, 2) {
		return errors.New("clone: connection lost")
	}
	return nil
}
