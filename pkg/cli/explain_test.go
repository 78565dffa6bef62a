package cli

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
	"github.com/hathi-ha/hathi/pkg/explain"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// explained is the demo cluster whose members explain themselves: node2 has everything, node3 is 96 bytes behind.
func explained(t *testing.T, change func(o *ha.Observation)) *fakeCluster {
	f := &fakeCluster{views: []*cluster.View{demo(nil)}, answers: map[string][]ctl.Answer{}}
	for _, name := range []string{"node1", "node2", "node3"} {
		o := ha.Observation{
			Now: clock.Instant(time.Hour), Self: ha.Self{Name: name}, Settings: cluster.DefaultSettings(),
			Store: ha.Store{View: demo(nil)}, Memory: ha.Memory{Joined: true},
			Server: cluster.Server{
				Data: cluster.DataPresent, SystemID: "7593529639153778709", Process: cluster.ProcessRunning, Answered: true,
				Timeline: 1, InRecovery: true, ReceiveLSN: 0x4000060, ReplayLSN: 0x4000060, ReceiverStatus: "streaming",
				PrimaryConninfo: cluster.Upstream{Host: "10.0.0.1", Port: "5432"},
			},
		}
		role := "replica"
		switch name {
		case "node1":
			role = "primary"
			o.Server.InRecovery, o.Server.FlushLSN, o.Store.LockProven = false, 0x4000060, o.Now.Add(20*time.Second)
			o.Server.Senders = []cluster.Sender{{ApplicationName: "node2", State: "streaming"}}
		case "node3":
			o.Server.ReceiveLSN, o.Server.ReplayLSN = 0x4000000, 0x4000000
		}
		o.Store.View.Config = cluster.Document{Present: true, Raw: []byte("{}"), Revision: 1}
		o.Settings.UseSlots = false
		if change != nil {
			change(&o)
		}
		raw, err := json.Marshal(explain.State(Version, role, "running", o, ha.Decision{
			Action: ha.Wait{}, Reasons: []ha.Reason{{Rule: "replica", Text: "no action. I am (" + name + ")"}},
		}, 1200*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		f.answers["GET "+name+"/explain"] = answer(200, string(raw))
	}
	return f
}

func TestExplain(t *testing.T) {
	const whole = `Cluster demo: node1 leads

Now
  node1  leader   running    TL 1 at 0/4000060  no action. I am (node1)
  node2  replica  streaming  TL 1 at 0/4000060  no action. I am (node2)
  node3  replica  streaming  TL 1 at 0/4000000  no action. I am (node3)

If node1 died this second
  node2 takes over; nothing that is written now would be lost
  node2  takes over   0 bytes behind the leader
  node3  stands back  Wal position of node2 is ahead of my wal position

Switchover
  possible, to node2
  node3  can't be named  switchover: no candidate streams from this member, switchover is not possible
`
	const one = `Cluster demo: node1 leads

node3
  is       replica, streaming, TL 1 at 0/4000000, hathi devel
  decided  Wait 1.2s ago
  because  no action. I am (node3) (replica)

If node1 died this second
  stands back: Wal position of node2 is ahead of my wal position
  yes  race-watchdog     no watchdog stands in the way
  yes  race-nofailover   its tags allow to promote it
  yes  race-no-position  has WAL up to 0/4000000
  yes  race-lag          96 bytes behind the last published position, 1048576 are allowed
  yes  race-behind       node1 does not count: it is not reachable
  NO   race-behind       Wal position of node2 is ahead of my wal position

Switchover to node3
  not possible: switchover: no candidate streams from this member, switchover is not possible
`
	for _, c := range []struct {
		args string
		want string
		code int
	}{
		{"explain", whole, 0},
		{"explain node3", one, 0},
		{"explain node9", "Error: node9 is not a member of cluster demo: node1, node2, node3\n", 1},
		{"explain --format yaml", "Error: Invalid value for '--format' / '-f'", 2},
		{"__complete explain ", "node1\nnode2\nnode3\n", 0},
	} {
		got, code := run(t, explained(t, nil), "hathi", "", strings.Split(c.args, " ")...)
		if code != c.code || c.want != got && (code == 0 && !strings.HasPrefix(c.args, "__") || !strings.Contains(got, c.want)) {
			t.Errorf("%s: exit %d, got\n%s\nwant %d,\n%s", c.args, code, got, c.code, c.want)
		}
	}
	if got, code := run(t, explained(t, nil), "patronictl", "", "explain"); code != 2 || !strings.Contains(got, "No such command 'explain'") {
		t.Errorf("patronictl does not know it: exit %d\n%s", code, got)
	}
}

func TestExplainWithoutEtcd(t *testing.T) {
	f := explained(t, func(o *ha.Observation) { o.Store.FailingSince = o.Now.Add(-3 * time.Second) })
	f.down = errors.New("Can not connect to etcd")
	got, code := run(t, f, "hathi", "", "explain")
	for _, want := range []string{
		"Cluster demo: node1 leads; etcd can't be read from here\n", "\nNotes\n  Can not connect to etcd\n",
		"node2 takes over; ", "not possible: DCS is not accessible\n",
		"node3 has had no answer from etcd for 3 s\n", "without etcd nobody can take the leader key",
	} {
		if code != 0 || !strings.Contains(got, want) {
			t.Errorf("exit %d, no %q in\n%s", code, want, got)
		}
	}
	delete(f.answers, "GET node2/explain")
	got, code = run(t, f, "hathi", "", "explain")
	if code != 1 || !strings.Contains(got, "no member that knows the cluster could be asked instead") {
		t.Errorf("exit %d\n%s", code, got)
	}
	if got, code = run(t, f, "hathi", "", "explain", "--api", "node3:8008"); code != 0 || !strings.Contains(got, "node3 takes over") {
		t.Errorf("exit %d\n%s", code, got)
	}
}

// etcd may have dropped the keys of members before it went away: who is asked knows itself, and others more.
func TestExplainWithoutKeys(t *testing.T) {
	f := explained(t, func(o *ha.Observation) {
		switch o.Self.Name {
		case "node2":
			o.Store.View.Members, o.Store.View.Failsafe = nil, map[string]string{"node1": "http://node1:8008/patroni", "node2": "http://node2:8008/patroni"}
		case "node1":
			o.Store.View.Members = o.Store.View.Members[:1]
		}
	})
	f.down = errors.New("Can not connect to etcd")
	got, code := run(t, f, "hathi", "", "explain")
	for _, want := range []string{"  node1  leader ", "  node2  replica ", "node2 takes over"} {
		if code != 0 || !strings.Contains(got, want) {
			t.Errorf("exit %d, no %q in\n%s", code, want, got)
		}
	}
	got, code = run(t, f, "hathi", "", "explain", "--api", "node3:8008")
	if code != 0 || !strings.Contains(got, "  node2  takes over ") {
		t.Errorf("exit %d\n%s", code, got)
	}
}

func TestExplainMembersThatCannot(t *testing.T) {
	f := explained(t, nil)
	f.answers["GET node2/explain"] = answer(503, `{"state": "running", "patroni": {"version": "4.1.4"}}`)
	f.answers["GET node2/patroni"] = answer(200, `{"state": "running", "role": "replica", "timeline": 1, "xlog": {"received_location": 67108960}, "patroni": {"version": "4.1.4"}}`)
	f.answers["GET node3/explain"] = f.answers["GET node1/explain"]
	got, code := run(t, f, "hathi", "", "explain")
	for _, want := range []string{
		"node2  replica  running  TL 1 at 0/4000060  runs Patroni 4.1.4 and can't explain itself\n",
		"http://node3:8008/patroni answers as node1\n",
		"none that runs hathi takes over; node2 may, which can't be asked\n",
		"possible, to node2\n",
	} {
		if code != 0 || !strings.Contains(got, want) {
			t.Errorf("exit %d, no %q in\n%s", code, want, got)
		}
	}
}
