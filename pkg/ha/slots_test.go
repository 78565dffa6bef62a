package ha

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

func useSlots(o *Observation) { o.Settings.UseSlots = true }

// onReplica makes the observer a replica of b that streams through its slot.
func onReplica(o *Observation) {
	replica(o)
	useSlots(o)
	o.Server.PrimaryConninfo.Slot = "a"
}

func slots(list ...cluster.Slot) change {
	return func(o *Observation) { o.Server.Slots = append(o.Server.Slots, list...) }
}

func physical(name string, at cluster.LSN) cluster.Slot {
	return cluster.Slot{Name: name, Type: "physical", RestartLSN: at}
}

func logical(name string, at cluster.LSN) cluster.Slot {
	return cluster.Slot{Name: name, Type: "logical", Database: "db", Plugin: "pgoutput", RestartLSN: at - 100, ConfirmedLSN: at}
}

func active(s cluster.Slot) cluster.Slot { s.Active = true; return s }

func permanent(name string, p cluster.PermanentSlot) change {
	return func(o *Observation) { put(&o.Settings.PermanentSlots, name, p) }
}

var app = cluster.PermanentSlot{Logical: true, Database: "db", Plugin: "pgoutput"}

// published says what the leader tells of its slots.
func published(name string, at cluster.LSN) change {
	return func(o *Observation) {
		put(&o.Store.View.Status.Slots, name, at)
		o.Store.View.Status.Revision = o.Store.View.Leader.Revision + 1
	}
}

// before: it was another leader who told it.
func before(o *Observation) { o.Store.View.Status.Revision = o.Store.View.Leader.Revision - 1 }

// away: etcd is, and a primary that goes on has told of a slot.
func away(name string, at cluster.LSN) change {
	return func(o *Observation) {
		o.Store.FailingSince = o.Now.Add(-time.Second)
		o.Memory.Failsafe = FailsafeMemory{Promised: o.Now.Add(time.Second), To: "b", Slots: map[string]cluster.LSN{name: at}}
	}
}

func tag(member string, t cluster.Tags) change {
	return func(o *Observation) {
		for i, m := range o.Store.View.Members {
			if m.Name == member {
				o.Store.View.Members[i].Tags = t
			}
		}
		if member == o.Self.Name {
			o.Self.Tags = t
		}
	}
}

// members are the slots of the others, in use by them.
func members(o *Observation) {
	for _, name := range []string{"a", "b", "c"} {
		if name != o.Self.Name {
			o.Server.Slots = append(o.Server.Slots, cluster.Slot{Name: name, Type: "physical", RestartLSN: 1000, Active: o.mine()})
		}
	}
}

func TestSlots(t *testing.T) {
	advance := func(name string, to cluster.LSN) SyncSlots {
		return SyncSlots{Plan: cluster.SlotPlan{Advance: map[string]cluster.LSN{name: to}}}
	}
	drop := func(names ...string) SyncSlots { return SyncSlots{Plan: cluster.SlotPlan{Drop: names}} }
	anew := func(name string) SyncSlots {
		return SyncSlots{Plan: cluster.SlotPlan{Drop: []string{name}, Create: []string{name}}}
	}
	leader := cluster.Upstream{Member: "b", Host: "b", Port: "5432", Slot: "a"}
	lost := func(s cluster.Slot) cluster.Slot { s.WALStatus = "lost"; return s }
	unproven := func(s cluster.Slot) cluster.Slot { s.Unproven = true; return s }
	synced := func(s cluster.Slot) change {
		return func(o *Observation) { o.Server.FailoverSlots = append(o.Server.FailoverSlots, s) }
	}
	for _, c := range []struct {
		name string
		see  []change
		want Action
	}{
		{"members get slots", []change{useSlots}, SyncSlots{Plan: cluster.SlotPlan{Create: []string{"b", "c"}}}},
		{"all is well", []change{useSlots, members}, Wait{}},
		{"a slot that nobody wants", []change{useSlots, members, slots(physical("x", 1), logical("y", 500))}, drop("x", "y")},
		{"in use", []change{useSlots, members, slots(active(physical("x", 1)))}, Wait{}},
		{"in pause", []change{useSlots, members, paused, slots(physical("x", 1))}, Wait{}},
		{"ignored", []change{useSlots, members, slots(logical("y", 500)), func(o *Observation) {
			o.Settings.IgnoreSlots = []cluster.SlotMatcher{{Name: "z"}, {Database: "db", Plugin: "pgoutput"}}
		}}, Wait{}},
		{"without use_slots all go", []change{members, slots(physical("x", 1))}, drop("x")},
		{"without a configuration none goes", []change{onReplica, members, slots(physical("x", 1)), func(o *Observation) { o.Store.View.Config.Present = false }}, Wait{}},
		{"work under way", []change{useSlots, func(o *Observation) { o.Memory.Slots.Adjusting = true }}, Wait{}},
		{"lost", []change{useSlots, members, permanent("p", cluster.PermanentSlot{}), slots(lost(physical("p", 5)))}, anew("p")},
		{"permanent, of a consumer that lags", []change{useSlots, members, permanent("p", cluster.PermanentSlot{}), slots(physical("p", 5)), published("p", 900)}, Wait{}},
		{"of the other kind of cluster", []change{useSlots, members, permanent("p", cluster.PermanentSlot{ClusterType: "standby"})}, Wait{}},
		{"logical in the place of physical", []change{useSlots, members, permanent("p", cluster.PermanentSlot{}), paused, slots(logical("p", 500))}, anew("p")},
		{"another plugin", []change{useSlots, members, permanent("app", cluster.PermanentSlot{Logical: true, Database: "db", Plugin: "other"}), slots(logical("app", 500))}, drop("app")},

		// A member that streams from another one has its place here as well, and takes it along.
		{"a cascade goes forward", []change{useSlots, tag("c", cluster.Tags{"replicatefrom": "b"}), slots(active(physical("b", 1000)), physical("c", 400)), published("c", 400)}, advance("c", 1000)},
		{"a cascade, the leader's own view", []change{useSlots, tag("c", cluster.Tags{"replicatefrom": "gone"}), slots(active(physical("b", 1000)), physical("c", 400))}, Wait{}},
		{"a replica's slots follow the leader's", []change{onReplica, slots(physical("b", 800), physical("c", 700)), published("c", 900)}, advance("c", 900)},
		{"no further than it has replayed", []change{onReplica, slots(physical("b", 1000), physical("c", 700)), published("c", 9000)}, advance("c", 1000)},
		{"not as the leader before has told", []change{onReplica, slots(physical("b", 800), physical("c", 700)), published("c", 900), before}, Wait{}},
		{"now and then", []change{onReplica, slots(physical("b", 1000), physical("c", 700)), published("c", 900), func(o *Observation) { o.Memory.Slots.AdvanceAt = o.Now.Add(time.Second) }}, Wait{}},
		{"an old primary's", []change{onReplica, slots(physical("b", 1000), cluster.Slot{Name: "c", Type: "physical", RestartLSN: 1000, XMin: 7})}, anew("c")},
		{"made by hand, without WAL", []change{onReplica, slots(physical("b", 1000), physical("c", 0))}, anew("c")},

		{"a logical slot", []change{useSlots, members, permanent("app", app)}, SyncLogicalSlots{Plan: cluster.LogicalSlotPlan{Create: map[string]cluster.PermanentSlot{"app": app}}}},
		{"it is there", []change{useSlots, members, permanent("app", app), slots(logical("app", 500))}, Wait{}},
		{"it is there, as the server's own", []change{useSlots, members, permanent("app", app), synced(logical("app", 500))}, Wait{}},
		{"not in a standby cluster", []change{onReplica, members, permanent("app", app), published("app", 500), func(o *Observation) { o.Settings.StandbyCluster = &cluster.StandbyCluster{Host: "far"} }}, Wait{}},
		{"the leader has it", []change{onReplica, members, permanent("app", app), published("app", 500)}, CopySlots{Leader: leader, Slots: map[string]cluster.PermanentSlot{"app": app}}},
		{"the leader does not name it", []change{onReplica, members, permanent("app", app)}, Wait{}},
		{"not in pause", []change{onReplica, members, paused, permanent("app", app), published("app", 500)}, Wait{}},
		{"not again at once", []change{onReplica, members, permanent("app", app), published("app", 500), func(o *Observation) { o.Memory.Slots.CopyAt = o.Now.Add(time.Second) }}, Wait{}},
		{"not where it is never promoted", []change{onReplica, members, tag("a", cluster.Tags{"nofailover": true}), permanent("app", app), published("app", 500)}, drop("b", "c")},
		{"not behind one that does not stream", []change{onReplica, members, tag("c", cluster.Tags{"nostream": true}), tag("a", cluster.Tags{"replicatefrom": "c"}), permanent("app", app), published("app", 500), func(o *Observation) {
			o.Server.PrimaryConninfo.Host = "c"
		}}, drop("c")},
		{"its WAL is gone", []change{onReplica, members, permanent("app", app), slots(logical("app", 300)), published("app", 500), func(o *Observation) {
			o.Memory.Slots.Unusable = []string{"app"}
		}}, CopySlots{Leader: leader, Slots: map[string]cluster.PermanentSlot{"app": app}}},
		{"it follows", []change{onReplica, members, permanent("app", app), slots(logical("app", 300)), published("app", 500)}, SyncLogicalSlots{Plan: cluster.LogicalSlotPlan{Advance: map[string]cluster.LSN{"app": 500}}}},
		{"not by the word of the leader before", []change{onReplica, members, permanent("app", app), slots(logical("app", 300)), published("app", 500), before}, Wait{}},
		{"not while it does not stream", []change{onReplica, members, permanent("app", app), slots(logical("app", 300)), published("app", 500), func(o *Observation) {
			o.Server.ReceiverStatus = ""
		}}, Wait{}},
		{"it is to be proven", []change{onReplica, members, permanent("app", app), slots(unproven(logical("app", 500))), published("app", 500)}, SyncLogicalSlots{Plan: cluster.LogicalSlotPlan{Prove: []string{"app"}, Leader: leader, Through: "a"}}},
		{"through the head of a cascade", []change{onReplica, members, tag("a", cluster.Tags{"replicatefrom": "c"}), permanent("app", app), slots(unproven(logical("app", 500))), func(o *Observation) {
			o.Server.PrimaryConninfo.Host = "c"
		}}, SyncLogicalSlots{Plan: cluster.LogicalSlotPlan{Prove: []string{"app"}, Leader: leader, Through: "c"}}},
		{"what a primary left to itself", []change{onReplica, members, permanent("app", app), synced(logical("app", 500))}, drop("app")},
		{"what the server keeps", []change{onReplica, members, permanent("app", app), synced(cluster.Slot{Name: "app", Type: "logical", Synced: true})}, Wait{}},
		// A primary goes on without etcd and has just told how far its slots are.
		{"without etcd", []change{onReplica, away("c", 900), slots(physical("c", 700), physical("x", 1))}, advance("c", 900)},
		{"without etcd, logical", []change{onReplica, away("app", 500), permanent("app", app), slots(unproven(logical("app", 300)))}, SyncLogicalSlots{Plan: cluster.LogicalSlotPlan{Advance: map[string]cluster.LSN{"app": 500}}}},
		{"without etcd none is copied", []change{onReplica, members, away("app", 500), permanent("app", app)}, Wait{}},
		{"without etcd nobody goes back", []change{onReplica, away("c", 500), slots(physical("c", 700)), published("c", 900)}, Wait{}},
		{"what another one told", []change{onReplica, away("c", 900), slots(physical("c", 700)), func(o *Observation) { o.Memory.Failsafe.To = "c" }}, Wait{}},
		{"what was told long ago", []change{onReplica, away("c", 900), slots(physical("c", 700)), func(o *Observation) { o.Memory.Failsafe.Promised = o.Now }}, Wait{}},
		{"what the user keeps", []change{onReplica, members, synced(logical("theirs", 500))}, Wait{}},
	} {
		d := Decide(see(c.see...))
		if !reflect.DeepEqual(d.Action, c.want) {
			t.Errorf("%s: %+v (%s), wanted %+v", c.name, d.Action, d.Reasons[0].Text, c.want)
		}
	}
}

// TestSynchronousStandbyLeavesBeforeCopying: no commit waits for the restart.
func TestSynchronousStandbyLeavesBeforeCopying(t *testing.T) {
	d := Decide(see(onReplica, members, permanent("app", app), published("app", 500), func(o *Observation) {
		o.Settings.SynchronousMode = cluster.SyncOn
		o.Store.View.Sync = cluster.SyncState{Leader: "b", Standbys: []string{"a"}, Revision: 30}
	}))
	if _, ok := d.Action.(LeaveSync); !ok {
		t.Errorf("%+v", d)
	}
}

func TestWarningsOfSlots(t *testing.T) {
	o := see(onReplica, permanent("app", app), permanent("away", app), permanent("kept", app), slots(
		cluster.Slot{Name: "app", Type: "logical", Unproven: true}, cluster.Slot{Name: "fine", Type: "logical"}))
	o.Server.FailoverSlots = []cluster.Slot{{Name: "kept", Synced: true}}
	if got := o.UnprovenSlots(); !slices.Equal(got, []string{"app", "away"}) {
		t.Errorf("unproven: %v", got)
	}
	o = see(useSlots, permanent("c", app), func(o *Observation) { o.Store.View.Members[1].Name = "C" })
	if got := o.SlotConflicts(); len(got) != 2 || got[0] != "Following cluster members share a replication slot name: C, c" {
		t.Errorf("conflicts: %q", got)
	}
}
