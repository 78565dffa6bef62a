package ha

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
)

// listing turns failsafe mode on, with a list that the observer has written itself.
func listing(names ...string) change {
	return func(o *Observation) {
		o.Settings.FailsafeMode = true
		v := o.Store.View
		v.Failsafe, v.FailsafeRevision = map[string]string{}, 40
		for _, n := range names {
			v.Failsafe[n] = "http://" + n + ":8008/patroni"
		}
		o.Memory.Failsafe.Written = 40
	}
}

// etcdLost is a primary that has lost etcd: the lock was renewed 20 s ago, and that etcd is away is known since now.
func etcdLost(o *Observation) {
	o.Store.FailingSince, o.Store.LockProven = o.Now, o.Now.Add(10*time.Second)
}

// asked is a round of questions some time ago.
func asked(ago time.Duration, accepted ...string) change {
	return func(o *Observation) {
		o.Memory.Failsafe.Round = FailsafeRound{Asked: o.Now.Add(-ago), TTL: 30 * time.Second, Accepted: accepted}
	}
}

func TestFailsafeOfThePrimary(t *testing.T) {
	none := clock.Instant(0)
	for _, c := range []struct {
		name   string
		o      Observation
		rule   string
		action Action
		wake   clock.Instant
	}{
		{
			"it asks all others at once", see(listing("a", "b", "c"), etcdLost), "failsafe-ask",
			AskFailsafe{Members: map[string]string{"b": "http://b:8008/patroni", "c": "http://c:8008/patroni"}, TTL: 30 * time.Second, Until: start.Add(2500 * time.Millisecond)},
			none,
		},
		{
			"their word counts from before they were asked", see(listing("a", "b", "c"), etcdLost, asked(2*time.Second, "b", "c")),
			"failsafe-extend",
			ExtendProof{Until: start.Add(28 * time.Second)},
			none,
		},
		{
			"then it goes on", see(listing("a", "b", "c"), etcdLost, asked(2*time.Second, "b", "c"), func(o *Observation) { o.Store.LockProven = start.Add(28 * time.Second) }),
			"failsafe",
			Wait{},
			start.Add(5500 * time.Millisecond),
		},
		{
			"and asks again", see(listing("a", "b", "c"), etcdLost, asked(8*time.Second, "b", "c"), func(o *Observation) { o.Store.LockProven = start.Add(22 * time.Second) }),
			"failsafe-ask",
			AskFailsafe{Members: map[string]string{"b": "http://b:8008/patroni", "c": "http://c:8008/patroni"}, TTL: 30 * time.Second, Until: start.Add(8 * time.Second)},
			none,
		},
		{"one who was not asked is missing", see(listing("a", "b", "c"), etcdLost, asked(500*time.Millisecond, "b")), "failsafe-retry", Wait{}, start.Add(500 * time.Millisecond)},
		{
			"no answer until the time is over", see(listing("a", "b", "c"), etcdLost, asked(2*time.Second, "b"), func(o *Observation) { o.Store.LockProven = start.Add(7 * time.Second) }),
			"store-lost-demote",
			Demote{Mode: DemoteOffline},
			none,
		},
		{"it was agreed before: retry_timeout does not count", see(listing("a", "b", "c"), etcdLost, asked(2*time.Second, "b"), func(o *Observation) {
			o.Store.FailingSince = start.Add(-time.Minute)
			o.Memory.Failsafe.Round.Agreed = start.Add(-12 * time.Second)
		}), "failsafe-ask", AskFailsafe{Members: map[string]string{"b": "http://b:8008/patroni", "c": "http://c:8008/patroni"}, TTL: 30 * time.Second, Until: start.Add(2500 * time.Millisecond)}, none},
		{"a refusal ends it", see(listing("a", "b", "c"), etcdLost, asked(time.Second, "b"), func(o *Observation) {
			o.Memory.Failsafe.Round.Refused = "c: Running as a leader"
			o.Store.FailingSince = start.Add(-10 * time.Second)
		}), "store-lost-demote", Demote{Mode: DemoteOffline}, none},
		{"alone in the list", see(listing("a"), etcdLost, asked(time.Second)), "failsafe-extend", ExtendProof{Until: start.Add(29 * time.Second)}, none},
		{"mode off", see(listing("a", "b"), etcdLost, func(o *Observation) { o.Settings.FailsafeMode = false }), "store-lost-primary", Wait{}, start.Add(2500 * time.Millisecond)},
		{"etcd answers, and refuses", see(listing("a", "b"), etcdLost, func(o *Observation) { o.Store.Refuses = true }), "store-lost-primary", Wait{}, start.Add(2500 * time.Millisecond)},
		{"not in the list", see(listing("b", "c"), etcdLost), "store-lost-primary", Wait{}, start.Add(2500 * time.Millisecond)},
		{"the list is not known to be its own", see(listing("a", "b"), etcdLost, func(o *Observation) { o.Memory.Failsafe.Written = 0 }), "store-lost-primary", Wait{}, start.Add(2500 * time.Millisecond)},
		{"the proof is over", see(listing("a", "b"), etcdLost, func(o *Observation) { o.Store.LockProven = o.Now }), "store-lost-demote", Demote{Mode: DemoteOffline}, none},
		{"the key is known to be somebody else's", see(listing("a", "b"), etcdLost, func(o *Observation) { o.Store.View.Leader.Name = "b" }), "store-lost-demote", Demote{Mode: DemoteOffline}, none},
		{"the key is known to have gone: what was promised still holds", see(unlocked, listing("a", "b"), asked(2*time.Second, "b"), func(o *Observation) {
			o.Store.FailingSince, o.Memory.Failsafe.Round.Agreed = start.Add(-time.Minute), start.Add(-2*time.Second)
		}), "failsafe-unlocked", Wait{}, start.Add(20500 * time.Millisecond)},
		{"but not for ever", see(unlocked, listing("a", "b"), asked(23*time.Second, "b"), func(o *Observation) {
			o.Store.FailingSince, o.Memory.Failsafe.Round.Agreed = start.Add(-time.Minute), start.Add(-23*time.Second)
		}), "store-lost-demote", Demote{Mode: DemoteOffline}, none},
		{"a replica waits", see(replica, listing("a", "b"), etcdLost), "store-lost", Wait{}, none},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, c.o, c.rule, c.action, c.wake) })
	}
}

// promised is a promise to b for some more time.
func promised(left time.Duration) change {
	return func(o *Observation) { o.Memory.Failsafe.Promised, o.Memory.Failsafe.To = o.Now.Add(left), "b" }
}

// began restarts the agent some time ago.
func began(ago time.Duration) change {
	return func(o *Observation) { o.Memory.Failsafe.Began = o.Now.Add(-ago) }
}

// elected is a replica that holds the lock and is about to be promoted.
func elected(o *Observation) {
	replica(o)
	o.Store.View.Leader.Name, o.Store.LockProven = "a", o.Now.Add(25*time.Second)
}

func TestFailsafeOfTheOthers(t *testing.T) {
	all, none := listing("a", "b", "c"), clock.Instant(0)
	ready := []change{answers("b", 0, unreachable), answers("c", 1000)}
	orphaned := func(more ...change) Observation {
		return see(slices.Concat([]change{orphan, all}, ready, more)...)
	}
	for _, c := range []struct {
		name   string
		o      Observation
		rule   string
		action Action
		wake   clock.Instant
	}{
		{"no promise", orphaned(), "race-won", AcquireLeader{}, none},
		{"a promise holds", orphaned(promised(time.Second)), "failsafe-promised", Wait{}, start.Add(time.Second)},
		{"a promise is over", orphaned(promised(0)), "race-won", AcquireLeader{}, none},
		{"a promise holds back a promotion", see(elected, all, promised(time.Second)), "failsafe-promised", Wait{}, start.Add(time.Second)},
		{"and the start as a primary", see(down("in production"), all, promised(time.Second)), "failsafe-promised", Wait{}, start.Add(time.Second)},
		{"but not the start as a replica", see(orphan, all, down("shut down in recovery"), promised(time.Second)), "down-unlocked", StartReplica{}, none},
		{"a promise does not matter while another leads", see(replica, all, promised(time.Second)), "replica", Wait{}, none},
		{"a named candidate keeps its promise", orphaned(promised(time.Second), request("", "a")), "failsafe-promised", Wait{}, start.Add(time.Second)},
		{"just started: what was promised is forgotten", orphaned(began(20 * time.Second)), "failsafe-restarted", Wait{}, start.Add(10300 * time.Millisecond)},
		{"started long ago", orphaned(began(time.Minute)), "race-won", AcquireLeader{}, none},
		{"just started, and nobody asks it", see(slices.Concat([]change{orphan, listing("a")}, ready, []change{began(time.Second)})...), "race-won", AcquireLeader{}, none},
		{"just started, elected", see(elected, all, began(20*time.Second)), "failsafe-restarted", Wait{}, start.Add(10300 * time.Millisecond)},
		{"just started, was a primary", see(down("in production"), all, began(20*time.Second)), "down-start-primary", StartPrimary{Timeout: 300 * time.Second}, none},
		{"not listed", see(slices.Concat([]change{orphan, listing("b", "c")}, ready)...), "failsafe-unlisted", Wait{}, none},
		{"not listed, but ordered", see(slices.Concat([]change{orphan, listing("b", "c")}, ready, []change{request("", "a"), func(o *Observation) {
			o.Memory.UnlockedSince, o.Memory.RequestSince = start.Add(-20*time.Second), start.Add(-time.Second)
		}})...), "race-candidate", AcquireLeader{}, none},
		{"not listed, and ordered while there was a leader", see(slices.Concat([]change{orphan, listing("b", "c")}, ready, []change{request("", "a"), func(o *Observation) {
			o.Memory.UnlockedSince, o.Memory.RequestSince = start.Add(-20*time.Second), start.Add(-30*time.Second)
		}})...), "failsafe-unlisted", Wait{}, none},
		{"asked to go, but the others are not listed", see(slices.Concat([]change{orphan, listing("a", "b")}, ready, []change{request("a", "")})...), "race-won", AcquireLeader{}, none},
		{"an empty list excludes nobody", see(slices.Concat([]change{orphan, listing()}, ready)...), "race-won", AcquireLeader{}, none},
		{"who is not listed keeps nobody from the lock", see(orphan, listing("a", "b"), answers("b", 0, unreachable), answers("c", 5000)), "race-won", AcquireLeader{}, none},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, c.o, c.rule, c.action, c.wake) })
	}
}

func TestFailsafeKey(t *testing.T) {
	urls := func(names ...string) map[string]string {
		m := map[string]string{}
		for _, n := range names {
			m[n] = "http://" + n + ":8008/patroni"
		}
		return m
	}
	for _, c := range []struct {
		name   string
		o      Observation
		rule   string
		action Action
	}{
		{"as it should be", see(listing("a", "b", "c")), "leader", Wait{}},
		{"a new member", see(listing("a", "b")), "leader-failsafe", WriteFailsafe{Members: urls("a", "b", "c"), Revision: 40}},
		{"nobody is added while the lock rests on promises alone", see(listing("a", "b"), func(o *Observation) { o.Store.LeaseExpires = start.Add(time.Second) }), "leader", Wait{}},
		{"a member is gone", see(listing("a", "b", "c", "d")), "leader-failsafe", WriteFailsafe{Members: urls("a", "b", "c"), Revision: 40}},
		{"written by somebody else", see(listing("a", "b", "c"), func(o *Observation) { o.Memory.Failsafe.Written = 0 }), "leader-failsafe", WriteFailsafe{Members: urls("a", "b", "c"), Revision: 40}},
		{"the mode was turned off", see(listing("a", "b"), func(o *Observation) { o.Settings.FailsafeMode = false }), "leader-failsafe", WriteFailsafe{Members: urls(), Revision: 40}},
		{"a request waits while others are bound", see(listing("a", "b", "c"), answers("b", 1000), answers("c", 1000), request("a", "b"), func(o *Observation) {
			o.Memory.Failsafe.Bound = start.Add(time.Second)
		}), "failsafe-bound", Wait{}},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, c.o, c.rule, c.action, 0) })
	}
}

func TestAnswerFailsafe(t *testing.T) {
	for _, c := range []struct {
		r    FailsafeReceiver
		want FailsafeReply
	}{
		{FailsafeReceiver{}, FailsafeOff},
		{FailsafeReceiver{Mode: true}, FailsafeAccepted},
		{FailsafeReceiver{Mode: true, Leader: true}, FailsafeIsPrimary},
		{FailsafeReceiver{Mode: true, Primary: true}, FailsafeIsPrimary},
		{FailsafeReceiver{Mode: true, Promoting: true}, FailsafeIsPrimary},
	} {
		if got := AnswerFailsafe(c.r); got != c.want {
			t.Errorf("%+v: %v, want %v", c.r, got, c.want)
		}
	}
}

// TestFailsafePromise: the promise outlives the proof, with clocks that differ by the 0.2 % that two wrong by
// 0.1 % can differ.
func TestFailsafePromise(t *testing.T) {
	for _, ttl := range []time.Duration{2 * time.Second, 30 * time.Second, time.Hour} {
		if FailsafePromise(ttl) < ttl+ttl/500 {
			t.Errorf("a promise for %s lasts %s", ttl, FailsafePromise(ttl))
		}
	}
}

func expect(t *testing.T, o Observation, rule string, action Action, wake clock.Instant) {
	t.Helper()
	d := Decide(o)
	if d.Reasons[0].Rule != rule || !reflect.DeepEqual(d.Action, action) {
		t.Errorf("%s: %#v, want %s: %#v", d.Reasons[0].Rule, d.Action, rule, action)
	}
	if wake != 0 && d.WakeAt != wake {
		t.Errorf("wakes at %s, want %s", d.WakeAt.Sub(start), wake.Sub(start))
	}
}
