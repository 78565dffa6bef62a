package sim

import (
	"errors"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// troubles are those of one server.
type troubles struct {
	limited    int  // the life in which it has met higher limits of its primary than its own
	namesFail  bool // synchronous_standby_names can't be set
	unreadable bool // the agent can't look into the data directory
	noControl  bool // nor read the control file
	muteLife   int  // the life in which it answers nobody new
	muteSince  time.Duration
	foreign    string      // the system identifier, if it is another cluster's
	rewindCut  bool        // a pg_rewind did not come to its end
	founding   bool        // a bootstrap has not come to its end yet
	oldest     cluster.LSN // the WAL before is gone
	stuck      position    // where it is,
	stuckSince time.Duration
	helped     time.Duration // until when nobody looks after it again
	hangs      time.Duration // until then it does not end a recovery
	copied     bool          // the data are marked as a copy
}

// mend ends all that do not end by themselves.
func (t *troubles) mend() {
	t.namesFail, t.unreadable, t.noControl, t.muteLife = false, false, false, 0
	t.hangs = min(t.hangs, 1)
}

// mend ends the troubles of a machine.
func (n *node) mend() {
	n.server.mend()
	if n.dog != nil {
		n.dog.fault = deviceWorks
	}
}

// emptied: what belonged to the data has gone with it.
func (t *troubles) emptied() {
	t.foreign, t.rewindCut, t.founding, t.oldest, t.copied = "", false, false, 0, false
}

// mute reports whether the server goes on and answers nobody new.
func (s *server) mute() bool { return s.phase == phaseServing && s.muteLife == s.life && s.life != 0 }

// troubled changes what an agent sees of the server.
func (s *server) troubled(o *cluster.Server) {
	if s.foreign != "" {
		o.SystemID = s.foreign
	}
	o.RewindCut = s.rewindCut && s.data && !s.acting
	o.WALGone = s.walGone(o)
	if s.w.has(noStream) && o.Answered {
		o.RestoreCommand = "restore"
	}
	if s.noControl || s.unreadable {
		o.SystemID, o.Control, o.CheckpointTimeline, o.RewindPossible, o.History = "", nil, 0, false, nil
		if !o.Answered {
			o.Timeline = 0
		}
	}
	if s.unreadable {
		o.Data, o.DataError, o.Version, o.StandbySignal, o.BackupLabel = cluster.DataUnreadable, errUnreadable.Error(), 0, false, false
		o.Copied = true // that can't be told
	}
}

var errUnreadable = errors.New("open the data directory: input/output error")

// usable says why nothing can be done with the data.
func (s *server) usable() error {
	switch {
	case s.unreadable:
		return errUnreadable
	case s.founding:
		return errors.New("an earlier bootstrap did not come to its end")
	case s.rewindCut:
		return errors.New("an earlier pg_rewind did not come to its end")
	}
	return nil
}
