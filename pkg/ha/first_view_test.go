package ha

import (
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
)

// TestFirstView: what an agent does that has just begun and has not reached etcd yet.
func TestFirstView(t *testing.T) {
	proven := func(left, life time.Duration) change {
		return func(o *Observation) { o.Store.LockProven, o.Store.LockLife = o.Now.Add(left), life }
	}
	unguarded := func(o *Observation) { o.Store.LockProven = 0 }
	decides(t, []decideCase{
		{"a primary goes on", []change{firstView, proven(8*time.Second, 30*time.Second)}, Wait{}, "waiting on etcd"},
		{"and stops before the proof ends that the agent before it had", []change{firstView, proven(7*time.Second, 30*time.Second)}, Demote{Mode: DemoteOffline}, "demoting self because DCS is not accessible"},
		{"which was for a shorter time", []change{firstView, proven(3*time.Second, 10*time.Second)}, Wait{}, "waiting on etcd"},
		{"a replica does not", []change{replica, firstView, proven(time.Second, 30*time.Second)}, Wait{}, "waiting on etcd"},
		{"without such a proof it waits", []change{firstView, unguarded}, Wait{}, "waiting on etcd"},
		{"while etcd does not answer, for less than retry_timeout", []change{firstView, unguarded, lost(9 * time.Second)}, Wait{}, "waiting on etcd"},
		{"and no longer", []change{firstView, unguarded, lost(10 * time.Second)}, Demote{Mode: DemoteOffline}, "demoting self because DCS is not accessible"},
	})
	o := see(firstView, proven(20*time.Second, 30*time.Second))
	if d := Decide(o); d.WakeAt != o.Now.Add(12500*time.Millisecond) {
		t.Errorf("it looks again in %s", d.WakeAt.Sub(o.Now))
	}
	if d := Decide(see(firstView, unguarded)); d.WakeAt != clock.Instant(0) {
		t.Errorf("it waits until %d for nothing", d.WakeAt)
	}
}
