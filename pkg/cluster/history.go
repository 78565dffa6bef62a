package cluster

import "slices"

// Counts gives how much of a position is the cluster's, by the number of the server's timeline and the lines of that
// one's history file, or the last of them; none: it is the first, or they are not known. WAL on an old timeline behind the
// point at which the cluster left it is nobody's any more: however far it goes, nothing that the last leader wrote is in it.
// A timeline that is not among the cluster's, and does not go on from the newest of them, is a branch that was lost; it
// counts as far as the two went together. The number alone does not tell: if a promotion is lost before others have heard
// of it, PostgreSQL gives the number again; and a manual failover to a member that never heard of the newest timeline
// leaves behind a branch with a higher number than the cluster's.
func (h History) Counts(position LSN, t Timeline, file []HistoryEntry) LSN {
	if t == 0 {
		return position
	}
	if at, apart := h.Parted(t, file); apart {
		return min(position, at)
	}
	if t >= h.Timeline() {
		return position
	}
	limit := LSN(0)
	for _, e := range h.Entries {
		if e.Timeline <= t {
			limit = e.LSN
		}
	}
	return min(position, limit)
}

// Parted tells where a server's timelines and those of the history have parted. The server is on timeline t, whose history
// file has these lines, or the last of them. Not apart: the one is the beginning of the other, or that can't be told.
func (h History) Parted(t Timeline, file []HistoryEntry) (at LSN, apart bool) {
	if !h.Present || len(file) == 0 || t == h.Timeline() && sameEnd(h.Entries, file) {
		return 0, false
	}
	ours, theirs := spans(h.Entries, h.Timeline()), spans(file, t)
	i, j := firstCommon(ours, theirs)
	if j < 0 {
		known := t >= ours[0].timeline && theirs[0].timeline <= h.Timeline() // else one was cut off before the other begins
		return min(ours[0].ended, theirs[0].ended), known
	}
	for ; i+1 < len(ours) && j+1 < len(theirs); i, j = i+1, j+1 {
		a, b := ours[i+1], theirs[j+1]
		if a.timeline == b.timeline && a.began == b.began || i+2 == len(ours) && a.began == b.began {
			continue // the second: a history that Patroni has written does not tell of a number that was left out
		}
		return min(ours[i].ended, theirs[j].ended), true
	}
	return 0, false
}

// sameEnd reports whether one history has all lines of the other as its last. It is nearly always so, and needs no memory.
func sameEnd(a, b []HistoryEntry) bool {
	n := min(len(a), len(b))
	return n > 0 && slices.EqualFunc(a[len(a)-n:], b[len(b)-n:], func(x, y HistoryEntry) bool {
		return x.Timeline == y.Timeline && x.LSN == y.LSN
	})
}

// span is a timeline and the part of a history that is on it. Zero began: that of the first is not known; zero ended: of
// the last.
type span struct {
	timeline     Timeline
	began, ended LSN
}

// spans leaves out those of numbers that were left out, see Lines.
func spans(lines []HistoryEntry, last Timeline) []span {
	out := make([]span, 0, len(lines)+1)
	began := LSN(0)
	for _, e := range lines {
		if e.LSN != began {
			out = append(out, span{e.Timeline, began, e.LSN})
		}
		began = e.LSN
	}
	return append(out, span{last, began, 0})
}

// firstCommon finds the first timeline that is in both; a negative j if none is.
func firstCommon(ours, theirs []span) (i, j int) {
	for i, a := range ours {
		j := slices.IndexFunc(theirs, func(b span) bool {
			return b.timeline == a.timeline && (a.began == b.began || a.began == 0 || b.began == 0)
		})
		if j >= 0 {
			return i, j
		}
	}
	return 0, -1
}
