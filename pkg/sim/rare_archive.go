package sim

import "time"

// A primary that was stopped stays for long after its shutdown checkpoint, because its archiver works off what has piled up.
// It can't write any more, so who has that checkpoint may lead meanwhile.

const (
	archiverBusy = "the archiver holds up the end of the server"
	stopGoesOn   = "the lock is released while what is left of the server goes on"
)

// pileUp leaves the archiver of a leader with much to do, and has the leader go.
func (w *world) pileUp(*node) bool {
	l := w.leader()
	if l == nil || l.leaving || l.server.phase != phaseServing || w.now < l.server.archive {
		return false
	}
	by := w.rare.IntN(3)
	if by == 0 && !w.orderAway(l) {
		return false
	}
	s := l.server
	w.befalls(l, archiverBusy)
	s.archive = w.now + between(w.rare, 2*time.Second, 40*time.Second)
	w.lasts(l, archiverBusy, s.archive-w.now, func() { s.archive = 0 })
	if by == 1 {
		w.stopAgent(l)
	} // else a fault, or another order, may have it go
	return true
}
