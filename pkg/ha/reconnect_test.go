package ha

import (
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestReconnect: a replica that has lost its source is told once that it is back, and only if it does not stream.
func TestReconnect(t *testing.T) {
	away := func(o *Observation) { o.Store.View.Members[1].State = cluster.StateStarting }
	unconnected := func(o *Observation) { o.Server.ReceiverStatus = "" }
	after := func(d time.Duration) change { return func(o *Observation) { o.Now = o.Now.Add(d) } }
	loaded := func(o *Observation) { o.Server.ConfigLoaded = "later" }
	again := Follow{Upstream: upB}
	for _, c := range []struct {
		name string
		seen [][]change // observations one after the other, each of a replica; the last is judged
		want Action
	}{
		{"it was never seen to be away", [][]change{{unconnected}}, Wait{}},
		{"it is away", [][]change{{unconnected, away}}, Wait{}},
		{"it is back", [][]change{{unconnected, away}, {unconnected}}, again},
		{"the replica was quicker", [][]change{{unconnected, away}, {}}, Wait{}},
		{"the replica has WAL of its own to replay", [][]change{{unconnected, away}, {unconnected, func(o *Observation) { o.Server.Replaying = true }}}, Wait{}},
		{"something else came first", [][]change{{unconnected, away}, {unconnected}, {unconnected, after(300 * time.Millisecond)}}, again},
		{"it was said", [][]change{{unconnected, away}, {unconnected}, {unconnected, loaded}}, Wait{}},
		{"it has been back for long", [][]change{{unconnected, away}, {unconnected}, {unconnected, after(time.Second)}}, Wait{}},
		{"it went and came a second time", [][]change{{unconnected, away}, {unconnected}, {unconnected, loaded, away}, {unconnected, loaded}}, again},
		{"another leads now", [][]change{{unconnected, unlocked}, {unconnected}}, again},
		{"the replica did not answer when it came", [][]change{{unconnected, away}, {func(o *Observation) { o.Server.Answered = false }}, {unconnected}}, again},
		{"in a cascade", [][]change{
			{unconnected, cascade, func(o *Observation) { o.Store.View.Members[2].State = cluster.StateStopped }},
			{unconnected, cascade},
		}, Follow{Upstream: cluster.Upstream{Member: "c", Host: "c", Port: "5432"}}},
	} {
		var m Memory
		var o Observation
		for _, changes := range c.seen {
			o = see(append([]change{replica}, changes...)...)
			m.Joined = true
			m.Sync.Note(&o)
			o.Memory = m
		}
		if d := Decide(o); d.Action != c.want {
			t.Errorf("%s: %#v, want %#v (%s)", c.name, d.Action, c.want, d.Reasons[0].Text)
		}
	}
}

func cascade(o *Observation) {
	o.Self.Tags = cluster.Tags{"replicatefrom": "c"}
	o.Server.PrimaryConninfo.Host = "c"
}
