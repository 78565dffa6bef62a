package ha

import (
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestReturnSync: a member that has named itself in /sync and is not promoted gives the key back as it was.
func TestReturnSync(t *testing.T) {
	former := cluster.SyncState{Leader: "b", Standbys: []string{"a", "c"}, Revision: 20}
	named := func(o *Observation) {
		synchronous(cluster.SyncOn, "", 0)(o)
		promotable(o)
		o.Memory.Sync.Before = &former
	}
	back := WriteSync{State: former, Revision: 30}
	decides(t, []decideCase{
		{"pre_promote said no", []change{named, refusedPromotion}, back, "Updating synchronous replication key, as a is not promoted"},
		{"the watchdog that is required can't be had", []change{named, func(o *Observation) { o.Self.WatchdogFailed = true }}, back, "as a is not promoted"},
		{"in pause", []change{named, paused}, back, "as a is not promoted"},
		{"with a quorum", []change{named, refusedPromotion, func(o *Observation) { o.Settings.SynchronousMode = cluster.SyncQuorum }}, back, "as a is not promoted"},
		{"it is as it was", []change{named, refusedPromotion, func(o *Observation) {
			o.Store.View.Sync = former
			o.Store.View.Sync.Revision = 30
		}}, ReleaseLeader{}, "pre-promote script failed"},
		{"somebody has written it since", []change{named, refusedPromotion, func(o *Observation) { o.Store.View.Sync.Revision = 31 }}, ReleaseLeader{}, "pre-promote script failed"},
		{"its own write was not confirmed", []change{named, refusedPromotion, func(o *Observation) { o.Memory.Sync.Written = 0 }}, ReleaseLeader{}, "pre-promote script failed"},
		{"the server may have been told", []change{named, refusedPromotion, func(o *Observation) { o.Memory.Sync.Before = nil }}, ReleaseLeader{}, "pre-promote script failed"},
		{"the server is becoming a primary", []change{named, refusedPromotion, func(o *Observation) { o.Server.Promoting = true }}, Demote{Mode: DemoteImmediate}, "pre-promote script failed"},
		{"the mode is off", []change{named, refusedPromotion, func(o *Observation) { o.Settings.SynchronousMode = cluster.SyncOff }}, ReleaseLeader{}, "pre-promote script failed"},
	})
}

// TestBefore: what is remembered of /sync by who writes it.
func TestBefore(t *testing.T) {
	former := cluster.SyncState{Leader: "b", Standbys: []string{"a", "c"}, Revision: 30}
	at := func(changes ...change) *Observation {
		o := see(append([]change{synchronous(cluster.SyncOn, "", 0), promotable, func(o *Observation) { o.Store.View.Sync = former }}, changes...)...)
		return &o
	}
	mine := WriteSync{State: cluster.SyncState{Leader: "a"}, Revision: 30}
	earlier := cluster.SyncState{Leader: "c", Standbys: []string{"a"}, Revision: 10}
	stale := func(o *Observation) { o.Memory.Sync.Stale = 30 }
	twice := func(o *Observation) { o.Memory.Sync.Before = &earlier }
	for name, c := range map[string]struct {
		o     *Observation
		write WriteSync
		want  string
	}{
		"named for a promotion":              {at(), mine, "b"},
		"named for it twice":                 {at(twice), mine, "c"},
		"not the key it has named itself in": {at(twice, func(o *Observation) { o.Memory.Sync.Written = 29 }), mine, "b"},
		"a key of a backup":                  {at(stale), mine, "nothing"},
		"nobody was named":                   {at(syncLed("")), mine, ""},
		"there was no key":                   {at(func(o *Observation) { o.Store.View.Sync = cluster.SyncState{} }), WriteSync{State: mine.State}, ""},
		"a primary":                          {at(func(o *Observation) { o.Server.InRecovery = false }), mine, "nothing"},
		"given back":                         {at(), WriteSync{State: former, Revision: 30}, "nothing"},
	} {
		got := "nothing"
		if b := c.write.Before(c.o); b != nil {
			got = b.Leader
		}
		if got != c.want {
			t.Errorf("%s: remembers the key of %q, want %q", name, got, c.want)
		}
	}
}
