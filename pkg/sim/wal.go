package sim

import (
	"strconv"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// branch is the WAL that one server wrote after one promotion. PostgreSQL knows it by its timeline id only;
// the simulation knows which bytes are really the same.
type branch struct {
	timeline cluster.Timeline
	parent   *branch
	fork     cluster.LSN // where it left its parent
	owner    string      // the only member that ever writes on it
	founding int         // of the first one: how many bootstraps something had happened to before the one that made it
}

// systemID is the identifier of the data; all are of one cluster where nothing happens to a bootstrap.
func (p position) systemID() string {
	b := p.branch
	for b.parent != nil {
		b = b.parent
	}
	return systemID[:len(systemID)-1] + strconv.Itoa(b.founding)
}

// position is a place in the WAL, and with it everything that was written before it.
type position struct {
	branch *branch
	lsn    cluster.LSN
}

// within reports whether everything up to p is also part of q.
func (p position) within(q position) bool {
	lsn := q.lsn
	for b := q.branch; b != nil; b = b.parent {
		if b == p.branch {
			return p.lsn <= lsn
		}
		lsn = min(lsn, b.fork)
	}
	return false
}

// fits reports whether a server at q would send WAL to one at p. PostgreSQL looks at numbers of timelines only.
func (p position) fits(q position) bool {
	lsn := q.lsn
	for b := q.branch; b != nil; b = b.parent {
		if b.timeline == p.branch.timeline {
			return p.lsn <= lsn
		}
		lsn = min(lsn, b.fork)
	}
	return false
}

// shared gives how far p and q are the same.
func (p position) shared(q position) cluster.LSN {
	limit := p.lsn
	for b := p.branch; b != nil; b = b.parent {
		at := q.lsn
		for c := q.branch; c != nil; c = c.parent {
			if b == c {
				return min(limit, at)
			}
			at = min(at, c.fork)
		}
		limit = min(limit, b.fork)
	}
	return 0
}

// until cuts a position back to an earlier place of the same history.
func (p position) until(lsn cluster.LSN) position {
	for p.branch.parent != nil && p.branch.fork >= lsn {
		p.branch = p.branch.parent
	}
	return position{p.branch, min(p.lsn, lsn)}
}

// history gives the lines of the timeline's history file.
func (b *branch) history() []cluster.HistoryEntry {
	if b.parent == nil {
		return nil
	}
	return append(b.parent.history(), cluster.HistoryEntry{
		Timeline: b.parent.timeline, LSN: b.fork, Reason: "no recovery target specified",
	})
}
