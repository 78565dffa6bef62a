package agent

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// hanging is a server whose fast stop does not end by itself, if it hangs, and the store, the peers and the passing of time
// around it.
type hanging struct {
	Postgres
	*leaseStore
	clock    *clock.Fake
	hangs    bool
	lsn      cluster.LSN // of the shutdown checkpoint
	stays    int         // so often it is asked for that while processes stay
	early    int         // releases before it had stopped
	answers  func() []cluster.PeerStatus
	asked    int
	guard    told
	heirs    []string        // who was asked last
	within   []time.Duration // the limits that were set; the last is that of the stop
	released []*cluster.Status
	mode     StopMode // of Stop
}

func (h *hanging) StopPrimary(_ context.Context, _ bool, shutDown func(cluster.LSN) bool) (cluster.LSN, error) {
	for range h.stays {
		if shutDown(h.lsn) {
			break
		}
	}
	h.early = len(h.released)
	if h.hangs {
		return 0, nil // aborted
	}
	return h.lsn, nil
}

func (h *hanging) Checkpoint(context.Context) error { return nil }

func (h *hanging) ReleaseLeader(_ context.Context, s *cluster.Status) (bool, error) {
	h.released = append(h.released, s)
	return true, nil
}

func (h *hanging) Ask(_ context.Context, heirs []cluster.Member) []cluster.PeerStatus {
	h.asked++
	h.heirs = nil
	for _, m := range heirs {
		h.heirs = append(h.heirs, m.Name)
	}
	return h.answers()
}

func (h *hanging) AskFailsafe(context.Context, map[string]string, cluster.FailsafeQuestion) []cluster.FailsafeAnswer {
	return nil
}

func (h *hanging) Go(string, func()) {}

func (h *hanging) Pause(_ context.Context, d time.Duration) { h.clock.Advance(d) }

func (h *hanging) WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	h.within = append(h.within, d)
	return context.WithCancel(ctx)
}

// handing is the agent of leader "a" that has stopped its server; b is listed in /sync, c is not, d never takes over.
func handing(t *testing.T) (*Agent, *hanging, *cluster.View) {
	t.Helper()
	a, s, _, c := keeping(t)
	h := &hanging{leaseStore: s, clock: c, lsn: 1000, answers: func() []cluster.PeerStatus { return nil }}
	a.o.Postgres, a.o.Store, a.o.Peers, a.o.Runtime, a.o.Guard = h, h, h, h, &h.guard
	s.v.Sync = cluster.SyncState{Leader: "a", Standbys: []string{"B"}, Revision: 3} // names are compared without case
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		s.v.Members = append(s.v.Members, cluster.Member{Name: name, APIURL: "http://" + name + "/patroni"})
	}
	s.v.Members[3].Tags = cluster.Tags{"nofailover": true}
	s.v.Members[4].APIURL = ""
	return a, h, s.v
}

// TestHeirs: who may take over by a request, and with synchronous replication by a switchover only who is listed.
func TestHeirs(t *testing.T) {
	for _, c := range []struct {
		name        string
		req         cluster.FailoverRequest
		synchronous bool
		want        []string
	}{
		{"a switchover", cluster.FailoverRequest{Leader: "a"}, false, []string{"b", "c"}},
		{"a switchover to one", cluster.FailoverRequest{Leader: "a", Candidate: "c"}, false, []string{"c"}},
		{"a switchover to who never leads", cluster.FailoverRequest{Leader: "a", Candidate: "d"}, false, nil},
		{"a switchover to the leader", cluster.FailoverRequest{Leader: "a", Candidate: "a"}, false, nil},
		{"synchronous: a switchover", cluster.FailoverRequest{Leader: "a"}, true, []string{"b"}},
		{"synchronous: a switchover to who is not listed", cluster.FailoverRequest{Leader: "a", Candidate: "c"}, true, nil},
		{"synchronous: a failover to who is not listed", cluster.FailoverRequest{Candidate: "c"}, true, []string{"c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _, view := handing(t)
			view.Failover = c.req
			var got []string
			for _, m := range a.heirs(view, c.synchronous) {
				got = append(got, m.Name)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// TestReceived: one heir with the shutdown checkpoint is enough, is waited for as long as receiveTimeout, and only a
// reachable standby counts.
func TestReceived(t *testing.T) {
	has := func(lsn cluster.LSN) cluster.PeerStatus {
		return cluster.PeerStatus{Reachable: true, InRecovery: true, Position: lsn}
	}
	primary, unreachable, diverged, follows := has(1000), has(1000), has(2000), has(1000)
	primary.InRecovery, unreachable.Reachable = false, false
	diverged.Timeline, follows.Timeline = 1, 2
	history := cluster.History{Present: true, Entries: []cluster.HistoryEntry{{Timeline: 1, LSN: 900}}}
	follows.History = history.Entries
	for _, c := range []struct {
		name    string
		lsn     cluster.LSN
		answers []cluster.PeerStatus
		later   cluster.LSN // what b has from the third question on
		nobody  bool
		want    bool
	}{
		{name: "at once", lsn: 1000, answers: []cluster.PeerStatus{has(999), has(1000)}, want: true},
		{name: "later", lsn: 1000, answers: []cluster.PeerStatus{has(999)}, later: 1001, want: true},
		{name: "never", lsn: 1000, answers: []cluster.PeerStatus{has(999)}},
		{name: "a primary", lsn: 1000, answers: []cluster.PeerStatus{primary}},
		{name: "a former leader, ahead on the timeline that the cluster has left", lsn: 1000, answers: []cluster.PeerStatus{diverged}},
		{name: "one on the cluster's timeline", lsn: 1000, answers: []cluster.PeerStatus{diverged, follows}, want: true},
		{name: "no answer", lsn: 1000, answers: []cluster.PeerStatus{unreachable}},
		{name: "no heirs", lsn: 1000, answers: []cluster.PeerStatus{has(1000)}, nobody: true},
		{name: "no shutdown checkpoint", lsn: 0, answers: []cluster.PeerStatus{has(1000)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, h, view := handing(t)
			heirs := view.Members[1:3]
			if c.nobody {
				heirs, c.answers = nil, nil
			}
			h.answers = func() []cluster.PeerStatus {
				if c.later != 0 && h.asked >= 3 {
					return []cluster.PeerStatus{has(c.later)}
				}
				return c.answers
			}
			began := h.clock.Now()
			if got := a.received(t.Context(), heirs, history, c.lsn); got != c.want {
				t.Errorf("received: %t, want %t", got, c.want)
			}
			if took := h.clock.Now().Sub(began); took > receiveTimeout+time.Second/10 || !c.want && c.lsn != 0 && !c.nobody && took < receiveTimeout {
				t.Errorf("gave up after %s", took)
			}
		})
	}
}

// later gives answers from a question on.
func later(nth int, answers func() []cluster.PeerStatus) func() []cluster.PeerStatus {
	asked := 0
	return func() []cluster.PeerStatus {
		if asked++; asked < nth {
			return nil
		}
		return answers()
	}
}

// TestHandOver: the lock is released with a shutdown checkpoint that a successor has, or after an aborted stop to who has
// all that was acknowledged; else the change is called off.
func TestHandOver(t *testing.T) {
	has := func() []cluster.PeerStatus {
		return []cluster.PeerStatus{{Reachable: true, InRecovery: true, Position: 1000}}
	}
	for _, c := range []struct {
		name     string
		mode     cluster.SynchronousMode
		timeout  time.Duration
		hangs    bool
		req      cluster.FailoverRequest
		answers  func() []cluster.PeerStatus
		within   time.Duration
		released cluster.LSN // with that position
		stays    int
		early    bool
		off      bool
	}{
		{name: "a clean stop", req: cluster.FailoverRequest{Leader: "a"}, answers: has, released: 1000},
		{name: "nobody has it", req: cluster.FailoverRequest{Leader: "a"}, off: true},
		{name: "no limit without synchronous mode", timeout: 3 * time.Second, req: cluster.FailoverRequest{Leader: "a"}, answers: has, released: 1000},
		{name: "zero is no limit", mode: cluster.SyncOn, req: cluster.FailoverRequest{Leader: "a"}, answers: has, released: 1000},
		{name: "a clean stop within the limit", mode: cluster.SyncOn, timeout: 3 * time.Second, req: cluster.FailoverRequest{Leader: "a"}, answers: has, within: 3 * time.Second, released: 1000},
		{name: "a stop within the limit that nobody has", mode: cluster.SyncOn, timeout: 3 * time.Second, req: cluster.FailoverRequest{Leader: "a"}, within: 3 * time.Second, off: true},
		{name: "processes stay after the checkpoint", req: cluster.FailoverRequest{Leader: "a"}, answers: has, stays: 3, released: 1000, early: true},
		{name: "… and somebody has it later", req: cluster.FailoverRequest{Leader: "a"}, answers: later(3, has), stays: 3, released: 1000, early: true},
		{name: "… and somebody has it when they have ended", req: cluster.FailoverRequest{Leader: "a"}, answers: later(4, has), stays: 3, released: 1000},
		{name: "… and nobody has it", req: cluster.FailoverRequest{Leader: "a"}, stays: 3, off: true},
		{name: "… until the stop is aborted", mode: cluster.SyncOn, timeout: 3 * time.Second, hangs: true, req: cluster.FailoverRequest{Leader: "a"}, answers: has, stays: 3, within: 3 * time.Second, released: 1000, early: true},
		{name: "aborted", mode: cluster.SyncOn, timeout: 3 * time.Second, hangs: true, req: cluster.FailoverRequest{Leader: "a"}, within: 3 * time.Second},
		{name: "aborted, quorum", mode: cluster.SyncQuorum, timeout: 3 * time.Second, hangs: true, req: cluster.FailoverRequest{Leader: "a", Candidate: "b"}, within: 3 * time.Second},
		{name: "aborted, ordered to who is not listed", mode: cluster.SyncOn, timeout: 3 * time.Second, hangs: true, req: cluster.FailoverRequest{Candidate: "c"}, within: 3 * time.Second, off: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, h, view := handing(t)
			h.hangs, h.stays, view.Failover = c.hangs, c.stays, c.req
			view.Failover.Revision = 20
			if c.answers != nil {
				h.answers = c.answers
			}
			settings := a.settings
			settings.SynchronousMode, settings.PrimaryStopTimeout = c.mode, c.timeout
			a.handOver(t.Context(), view, settings)(a)
			if got := h.within; c.within == 0 && got != nil || c.within != 0 && (got == nil || got[len(got)-1] != c.within) {
				t.Errorf("the limits are %v, want %s for the stop", got, c.within)
			}
			if off := a.memory.RefusedRequest == 20; off != c.off || off == (len(h.released) > 0) {
				t.Fatalf("called off: %t, released %d times; want it called off: %t", off, len(h.released), c.off)
			}
			if c.off {
				if a.lockProven() == 0 || a.memory.HandedOver {
					t.Error("called off, and yet given away")
				}
				return
			}
			if early := h.early > 0; early != c.early || h.guard.disarmed != h.early || len(h.released) != 1 {
				t.Errorf("released before the stop has ended: %t, want %t; %d times; disarmed %d times", early, c.early, len(h.released), h.guard.disarmed)
			}
			var at cluster.LSN
			if s := h.released[0]; s != nil {
				at = s.Optime
			}
			if at != c.released || !a.memory.HandedOver || a.lockProven() != 0 {
				t.Errorf("released with position %s, want %s; handed over: %t", at, c.released, a.memory.HandedOver)
			}
		})
	}
}

// TestShutDown: an agent that ends releases the lock when its server has stopped, or as soon as who may lead next has the
// shutdown checkpoint.
func TestShutDown(t *testing.T) {
	for _, c := range []struct {
		name  string
		mode  cluster.SynchronousMode
		stays int
		has   cluster.LSN
		heirs []string // who was asked
		early int
	}{
		{name: "at once", has: 1000},
		{name: "processes stay", stays: 2, has: 1000, heirs: []string{"b", "c"}, early: 1},
		{name: "processes stay, synchronous", mode: cluster.SyncOn, stays: 2, has: 1000, heirs: []string{"b"}, early: 1},
		{name: "processes stay, and nobody has it", stays: 2, has: 999, heirs: []string{"b", "c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, h, view := handing(t)
			h.stays = c.stays
			h.answers = func() []cluster.PeerStatus {
				return []cluster.PeerStatus{{Reachable: true, InRecovery: true, Position: c.has}}
			}
			view.Failover = cluster.FailoverRequest{Candidate: "d"} // nobody waits for that now
			settings := a.settings
			settings.SynchronousMode = c.mode
			a.shutDown(t.Context(), view, settings)(a)
			if h.early != c.early || len(h.released) != 1 || h.released[0].Optime != 1000 || !slices.Equal(h.heirs, c.heirs) {
				t.Errorf("released %d times, %d of them early, %v were asked; want %d, %v", len(h.released), h.early, h.heirs, c.early, c.heirs)
			}
		})
	}
}

func (h *hanging) Stop(_ context.Context, mode StopMode, _ bool) (cluster.LSN, error) {
	h.mode = mode
	return 0, nil
}

func (h *hanging) StartReplica(context.Context, cluster.Upstream) error { return nil }

// TestGoOffline: a primary without etcd is stopped cleanly in the time that is proven, also by the agent before; if nothing is, at
// once.
func TestGoOffline(t *testing.T) {
	begin := clock.Instant(time.Hour)
	for _, c := range []struct {
		name              string
		proven, inherited time.Duration
		view              *cluster.View
		mode              StopMode
		within            []time.Duration
	}{
		{"proven", 10 * time.Second, 0, &cluster.View{Leader: cluster.Leader{Name: "a"}}, StopFast, []time.Duration{7 * time.Second}},
		{"by the agent before, and no view yet", 0, 4 * time.Second, nil, StopFast, []time.Duration{2 * time.Second}},
		{"by the agent before, not anew yet", 0, 4 * time.Second, &cluster.View{Leader: cluster.Leader{Name: "a"}}, StopFast, []time.Duration{2 * time.Second}},
		{"by the agent before, but another one leads", 0, 4 * time.Second, &cluster.View{Leader: cluster.Leader{Name: "b"}}, StopImmediate, nil},
		{"by nobody", 0, 0, nil, StopImmediate, nil},
		{"over", -time.Second, 0, &cluster.View{Leader: cluster.Leader{Name: "a"}}, StopFast, []time.Duration{0}},
	} {
		a, h, _ := handing(t)
		a.setProof(proof{})
		a.counted = 0
		if c.proven != 0 {
			a.setProof(proof{until: begin.Add(c.proven), lease: 7, life: 30 * time.Second})
		}
		if c.inherited != 0 {
			a.counted = begin.Add(c.inherited)
		}
		if a.goOffline(t.Context(), c.view)(a); h.mode != c.mode || !slices.Equal(h.within, c.within) {
			t.Errorf("%s: stop %s within %v, want %s within %v", c.name, h.mode, h.within, c.mode, c.within)
		}
	}
}
