package chaos

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// What may be lost: nobody who lags more than maximum_lag_on_failover behind the last published position is promoted,
// so no line of history is left further behind that position; and no row is lost but those after such a point.

const (
	// maximumLag is maximum_lag_on_failover of the cluster: what clients write in about a second, so that it matters.
	maximumLag = 128 << 10
	// torn is how much less than it has received a replica may replay: what it has last may be half a record.
	torn = 32 << 10
	// endless is the end of a timeline that goes on.
	endless = cluster.LSN(math.MaxUint64)
)

// line is a line of history as a leader has announced it in /history.
type line struct {
	revision int64
	leader   string
	forks    []cluster.HistoryEntry // where each timeline was left
	// tip is the one that goes on: the next number, unless timelines that were lost have taken that.
	tip cluster.Timeline
	// published is the position that /status gave last before it was announced.
	published cluster.LSN
}

// lines reads from the changes of the keys what lines of history there were, in order.
func lines(past []testcluster.Event) []line {
	var all []line
	var leader string
	var published cluster.LSN
	for _, e := range past {
		switch {
		case e.Name == "leader":
			leader = string(e.Value)
		case e.Name == "status" && !e.Deleted:
			published = dcs.DecodeStatus(e.Value).Optime
		case e.Name == "history" && !e.Deleted:
			h := dcs.DecodeHistory(e.Value)
			l := line{revision: e.Revision, leader: leader, forks: h.Entries, tip: h.Timeline(), published: published}
			if len(all) == 0 || !slices.EqualFunc(all[len(all)-1].forks, l.forks, sameFork) {
				all = append(all, l)
			}
		}
	}
	return all
}

func sameFork(a, b cluster.HistoryEntry) bool { return a.Timeline == b.Timeline && a.LSN == b.LSN }

// end gives up to where the line has what was written on a timeline.
func (l line) end(t cluster.Timeline) (end cluster.LSN, has bool) {
	for _, f := range l.forks {
		if f.Timeline == t {
			return f.LSN, true
		}
	}
	return endless, t == l.tip
}

// parting gives up to where the next line is the same as this one.
func (l line) parting(next line) cluster.LSN {
	same := 0
	for same < len(l.forks) && same < len(next.forks) && sameFork(l.forks[same], next.forks[same]) {
		same++
	}
	switch {
	case same == len(l.forks) && same == len(next.forks):
		return endless
	case same == len(l.forks): // it goes on from the timeline that this one was on
		return next.forks[same].LSN
	case same < len(next.forks) && l.forks[same].Timeline == next.forks[same].Timeline:
		return min(l.forks[same].LSN, next.forks[same].LSN)
	case same > 0:
		return l.forks[same-1].LSN
	}
	return 0
}

// tooFar gives the changes of the line that went further back than the promise allows.
func tooFar(all []line) (wrong []string) {
	for i, next := range all[1:] {
		at := all[i].parting(next)
		if bound := next.published - min(next.published, maximumLag+torn); at < bound {
			wrong = append(wrong, fmt.Sprintf("%s was promoted at %s, %d bytes behind the published %s: timeline %d of %s after %d of %s, revision %d",
				next.leader, at, next.published-at, next.published, next.tip, next.leader, all[i].tip, all[i].leader, next.revision))
		}
	}
	return wrong
}

// verdict is what became of lost rows.
type verdict struct {
	parted     int // after the point where the cluster left the timeline
	unknown    int // on a timeline that was never announced: its leader had published no position yet
	wrong      []testcluster.Ack
	farthest   cluster.LSN // how far behind the published position the cluster went back at most
	promotions int
}

// explain judges lost rows by the line that the cluster is on.
func explain(all []line, acks, lost []testcluster.Ack) verdict {
	var v verdict
	for i, next := range all[1:] {
		if at := all[i].parting(next); at < next.published {
			v.farthest = max(v.farthest, next.published-at)
		}
		v.promotions++
	}
	now, after := all[len(all)-1], laterPositions(acks)
	for _, a := range lost {
		t := cluster.Timeline(a.Timeline)
		end, has := now.end(t)
		switch {
		case has && (end == endless || after(a) <= end):
			v.wrong = append(v.wrong, a)
		case slices.ContainsFunc(all, func(l line) bool { _, has := l.end(t); return has }):
			v.parted++
		default:
			v.unknown++
		}
	}
	return v
}

// laterPositions gives a function that tells by which position a row was committed at the latest: the one that the
// next row has that was sent to the same timeline after this one was acknowledged.
func laterPositions(acks []testcluster.Ack) func(testcluster.Ack) cluster.LSN {
	by := map[int64][]testcluster.Ack{}
	for _, a := range acks {
		by[a.Timeline] = append(by[a.Timeline], a)
	}
	for _, on := range by {
		slices.SortFunc(on, func(a, b testcluster.Ack) int { return a.Sent.Compare(b.Sent) })
	}
	return func(a testcluster.Ack) cluster.LSN {
		on := by[a.Timeline]
		i := sort.Search(len(on), func(i int) bool { return !on[i].Sent.Before(a.At) })
		if i == len(on) {
			return endless
		}
		later := slices.MinFunc(on[i:min(len(on), i+16)], func(a, b testcluster.Ack) int { return cmp.Compare(a.LSN, b.LSN) })
		return later.LSN
	}
}

// holdToBound fails the test if the cluster has gone back further than it may, or if a row was lost otherwise.
func (w *world) holdToBound(t *testing.T, clients []*testcluster.Writer, lost []testcluster.Ack) {
	t.Helper()
	all := lines(w.c.Past())
	if len(all) == 0 {
		t.Fatal("no leader has ever announced a history")
	}
	if m, ok := w.c.View().Member(w.c.Primary().Name); ok {
		all[len(all)-1].tip = m.Timeline
	}
	for _, wrong := range tooFar(all) {
		t.Error(wrong)
	}
	var acks []testcluster.Ack
	for _, c := range clients {
		acks = append(acks, c.Acks()...)
	}
	v := explain(all, acks, lost)
	if len(v.wrong) > 0 {
		t.Errorf("%d rows are lost though the cluster is on their timeline, the first is %+v; the line: %+v", len(v.wrong), v.wrong[0], all[len(all)-1])
	}
	t.Logf("%d changes of the timeline, at most %d bytes behind the last published position (allowed: %d); of the lost rows %d after such a point, %d on timelines that were never announced",
		v.promotions, v.farthest, maximumLag, v.parted, v.unknown)
}

// TestBound: what goes too far back is found, and so is a row that nothing explains.
func TestBound(t *testing.T) {
	const kb = cluster.LSN(1 << 10)
	fork := func(t cluster.Timeline, lsn cluster.LSN) cluster.HistoryEntry {
		return cluster.HistoryEntry{Timeline: t, LSN: lsn}
	}
	first := line{leader: "a", tip: 1}
	for name, c := range map[string]struct {
		next  line
		wrong bool
	}{
		"nothing is lost":       {line{leader: "b", forks: []cluster.HistoryEntry{fork(1, 1000*kb)}, tip: 2, published: 990 * kb}, false},
		"what is allowed":       {line{leader: "b", forks: []cluster.HistoryEntry{fork(1, 1000*kb)}, tip: 2, published: 1100 * kb}, false},
		"more than is allowed":  {line{leader: "b", forks: []cluster.HistoryEntry{fork(1, 1000*kb)}, tip: 2, published: 1200 * kb}, true},
		"a gap in the numbers":  {line{leader: "b", forks: []cluster.HistoryEntry{fork(1, 1000*kb)}, tip: 4, published: 1000 * kb}, false},
		"two changes at once":   {line{leader: "b", forks: []cluster.HistoryEntry{fork(1, 1000*kb), fork(2, 1001*kb)}, tip: 3, published: 1200 * kb}, true},
		"nothing was published": {line{leader: "b", forks: []cluster.HistoryEntry{fork(1, 1000*kb)}, tip: 2}, false},
	} {
		if got := tooFar([]line{first, c.next}); (len(got) > 0) != c.wrong {
			t.Errorf("%s: %q, want wrong: %t", name, got, c.wrong)
		}
	}
	// The next leader comes from the timeline before, past the one that was announced last.
	second := line{leader: "b", forks: []cluster.HistoryEntry{fork(1, 1000*kb)}, tip: 2, published: 1000 * kb}
	third := line{leader: "c", forks: []cluster.HistoryEntry{fork(1, 900*kb)}, tip: 3, published: 2000 * kb}
	if at := second.parting(third); at != 900*kb {
		t.Errorf("the lines part at %s", at)
	}
	if got := tooFar([]line{first, second, third}); len(got) != 1 {
		t.Errorf("a branch from before: %q", got)
	}

	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	row := func(t int64, ms int, lsn cluster.LSN) testcluster.Ack {
		return testcluster.Ack{ID: int64(lsn), Timeline: t, Sent: at(ms), At: at(ms + 1), LSN: lsn}
	}
	rows := []testcluster.Ack{row(1, 0, 998*kb), row(1, 2, 999*kb), row(1, 4, 1001*kb), row(2, 6, 1001*kb), row(3, 8, 1002*kb), row(2, 10, 1100*kb)}
	for name, c := range map[string]struct {
		lost, wrong, unknown int
	}{
		"before the fork":                  {lost: 0, wrong: 1},
		"perhaps after the fork":           {lost: 1},
		"after the fork":                   {lost: 2},
		"on the timeline that goes on":     {lost: 3, wrong: 1},
		"on a timeline that nobody knows":  {lost: 4, unknown: 1},
		"the last on the one that goes on": {lost: 5, wrong: 1},
	} {
		v := explain([]line{first, second}, rows, rows[c.lost:c.lost+1])
		if len(v.wrong) != c.wrong || v.unknown != c.unknown || v.parted != 1-c.wrong-c.unknown {
			t.Errorf("a lost row %s: %+v", name, v)
		}
	}
}
