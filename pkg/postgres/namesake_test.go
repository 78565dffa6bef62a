package postgres

import (
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestOneNumberForTwoTimelines: two servers that were promoted without knowing of each other are both on timeline 2.
func TestOneNumberForTwoTimelines(t *testing.T) {
	p := primary(t)
	a, b := replicaOf(t, p, "node2"), replicaOf(t, p, "node3")
	eventually(t, a, "caught up", caughtUp(p))
	must(t, a, a.Promote(t.Context()))
	sql(t, p, `CREATE TABLE public.later (n int)`)
	eventually(t, b, "caught up", caughtUp(p))
	must(t, b, b.Promote(t.Context()))
	must(t, b, b.Checkpoint(t.Context()))
	_, err := a.Stop(t.Context(), cluster.StopFast, true)
	must(t, a, err)
	d, err := a.CheckDivergence(t.Context(), address(b))
	must(t, a, err)
	if !d.Needed || d.LocalTimeline != 2 || d.LeaderTimeline != 2 {
		t.Errorf("got %+v", d)
	}
	if err := a.Rewind(t.Context(), address(b)); err == nil || !strings.Contains(err.Error(), "two different histories") {
		t.Errorf("pg_rewind was run: %v", err)
	}
}

// TestUnheardTimeline: of a promotion that it has not heard of a server is told, if that was where it ends itself; else the
// two timelines of one number could not be told apart.
func TestUnheardTimeline(t *testing.T) {
	p := primary(t)
	a, b := replicaOf(t, p, "node2"), replicaOf(t, p, "node3")
	for _, r := range []*Instance{a, b} { // so that both get the end of the primary
		eventually(t, r, "streaming", func(s cluster.Server) bool { return s.ReceiverStatus == "streaming" })
	}
	_, err := p.Stop(t.Context(), cluster.StopFast, true)
	must(t, p, err)
	must(t, a, a.Promote(t.Context()))
	sql(t, a, `CREATE TABLE public.lost (n int)`)
	history := a.Observe(t.Context()).History
	if len(history) != 1 {
		t.Fatalf("timeline 2 began at %+v", history)
	}
	eventually(t, b, "where timeline 2 began", func(s cluster.Server) bool { return s.ReplayLSN == history[0].LSN })

	// An agent that dies before it promotes leaves a standby that knows of the timeline and can be started.
	must(t, b, b.learnTimelines(history))
	_, err = b.Stop(t.Context(), cluster.StopFast, true)
	must(t, b, err)
	must(t, b, b.StartReplica(t.Context(), cluster.Upstream{}))

	must(t, b, b.Promote(t.Context(), history...))
	must(t, b, b.Checkpoint(t.Context()))
	if s := b.Observe(t.Context()); s.Timeline != 3 || s.Fork() != history[0].LSN {
		t.Errorf("promoted to timeline %d, which began at %s, not to 3 at %s", s.Timeline, s.Fork(), history[0].LSN)
	}
	_, err = a.Stop(t.Context(), cluster.StopFast, true)
	must(t, a, err)
	d, err := a.CheckDivergence(t.Context(), address(b))
	must(t, a, err)
	if !d.Needed || d.LocalTimeline != 2 || d.LeaderTimeline != 3 {
		t.Errorf("got %+v", d)
	}
	must(t, a, a.Rewind(t.Context(), address(b)))
	must(t, a, a.StartReplica(t.Context(), address(b)))
	eventually(t, a, "caught up", caughtUp(b))
}
