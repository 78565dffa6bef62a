package ha

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha/quorum"
)

// FuzzDecide: whatever a member sees, Decide answers, always the same, and does nothing that must never be done.
func FuzzDecide(f *testing.F) {
	for n := range scenes {
		f.Add([]byte{byte(n)})
	}
	for seed := range uint64(4000) {
		f.Add(thrown(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o := arbitrary(b)
		d := decide(o)
		if !reflect.DeepEqual(o, arbitrary(b)) {
			t.Fatalf("%s changes what was observed: %+v", d.Reasons[0].Rule, o)
		}
		if !reflect.DeepEqual(d, decide(o)) {
			t.Fatalf("two answers to one observation: %+v", o)
		}
		if d.Action == nil || len(d.Reasons) == 0 || d.Reasons[0].Text == "" {
			t.Fatalf("no action or no reason: %+v", d)
		}
		for _, wrong := range []string{never(&o, d), neverLeads(&o, d), neverStops(&o, d), neverSilent(&o, d)} {
			if wrong != "" {
				t.Fatalf("%s: %s, by %T %v in\n%+v\n%+v", d.Reasons[0].Rule, wrong, d.Action, d.Reasons, o, o.Store.View)
			}
		}
	})
}

// thrown are bytes by chance, for one observation or less.
func thrown(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, r.IntN(5*most))
	for i := range b {
		b[i] = byte(r.UintN(256))
	}
	return b
}

// never says what is wrong with a decision that makes or keeps a primary, or waits; nothing if all is well.
func never(o *Observation, d Decision) string {
	v := o.Store.View
	switch x := d.Action.(type) {
	case Wait:
		if d.WakeAt != 0 && d.WakeAt <= o.Now {
			return "waits for what has passed"
		}
	case Promote, StartPrimary:
		switch {
		case v == nil || !o.mine() || !o.Now.Before(o.Store.LockProven):
			return "the lock is not proven"
		case o.Stopping || o.Job != nil:
			return "the agent ends, or something runs"
		case o.standbyCluster():
			return "a primary in a standby cluster"
		case syncActive(o) && !v.Sync.LedBy(o.Self.Name) && !o.Server.Promoting: // else it was told already
			return "/sync names another leader"
		case o.Now.Before(o.Memory.Failsafe.Promised) && !o.MayWrite():
			return "it has promised not to"
		case !identityFits(o) && o.Server.SystemID != "":
			return "the data are of another cluster"
		}
	case SetSyncNames:
		if names, _ := quorum.Parse(x.Names); !o.Server.InRecovery && !quorum.Safe(syncSetting(o).Key, names) {
			return "the names are not safe with the key"
		}
	}
	return ""
}

// neverLeads is never for who takes the lock.
func neverLeads(o *Observation, d Decision) string {
	if _, takes := d.Action.(AcquireLeader); !takes {
		return ""
	}
	v := o.Store.View
	switch {
	case v.Leader.Present || o.Store.FailingSince != 0:
		return "the key exists, or can't be reached"
	case !identityFits(o) && o.Server.SystemID != "":
		return "the data are of another cluster"
	case !o.Server.Answered || !o.Server.InRecovery:
		return "" // it is a primary already
	case o.Now.Before(o.Memory.Failsafe.Promised) && !o.Server.Promoting: // which it can't be by an agent that has promised
		return "it has promised not to"
	case o.Self.Tags.NoFailover():
		return "its tags do not allow it"
	case o.Self.WatchdogFailed && !o.paused():
		return "it lacks the watchdog that it needs"
	case ordered(o, o.Self.Name):
		return ""
	case mistrusted(o):
		return "its copy is not trusted"
	case tooFarBehind(o, here(o)):
		return "it is too far behind"
	case oldTimeline(o, o.Server.Timeline):
		return "its timeline is old"
	}
	if fit, _ := syncFit(o); !fit.Pass {
		return "it may lack a commit: " + fit.Text
	}
	return ""
}

// neverStops is never for what is done to a server that may be the primary, and to its data.
func neverStops(o *Observation, d Decision) string {
	if o.Store.View == nil {
		return "" // who leads is not known, and nothing is done but to end
	}
	switch x := d.Action.(type) {
	case Reinitialize, Rewind, Clone, CrashRecovery:
		switch {
		case o.mine() && !o.standbyCluster():
			return "data are changed by who holds the lock"
		case o.MayWrite() && !o.other():
			return "data are changed under a primary"
		}
	case ReleaseLeader:
		if o.MayWrite() && !o.paused() {
			return "the lock is released while the server may write"
		}
	case Restart:
		if o.other() && (o.Server.IsPrimary() && !o.paused() || o.Server.Process == cluster.ProcessNone && !o.Server.StandbySignal) {
			return "a second primary is started"
		}
	case Demote:
		if o.paused() && x.Mode != DemoteGraceful && !o.Store.View.Failover.Pending() && !o.Stopping && !o.Server.Promoting {
			return "nobody is demoted in pause"
		}
	}
	return ""
}

// neverSilent: who asks for another leader is told why nothing happens, where nothing else keeps a member from what it does.
func neverSilent(o *Observation, d Decision) string {
	rule := d.Reasons[0].Rule
	if _, waits := d.Action.(Wait); !waits || o.Store.View == nil || !o.Store.View.Failover.Pending() || len(d.Reasons) > 1 {
		return ""
	}
	if rule == "leader" || strings.HasPrefix(rule, "race-") && rule != "race-nofailover" && rule != "race-empty-key" {
		return "a request has no answer"
	}
	return ""
}
