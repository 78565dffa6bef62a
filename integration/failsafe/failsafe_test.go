// Package failsafe takes etcd away from clusters of real processes that run in failsafe mode.
package failsafe

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

const (
	ttl    = 6 * time.Second
	enough = time.Minute
	// away is how long etcd is away: the lease, and every proof that was made from it, is long over.
	away = 2*ttl + ttl/2
)

// TestPrimaryGoesOnWithoutEtcd: with all members reachable, clients write to the same primary however long etcd
// is away; without one of them it stops being one; and when etcd is back there is one primary, with every row.
func TestPrimaryGoesOnWithoutEtcd(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{TTL: 6, LoopWait: 1, Retry: 1, DCS: "failsafe_mode: true"})
	leader := c.Primary()
	c.WaitFor(enough, "all members in /failsafe", func() bool { return len(c.View().Failsafe) == 3 })
	probes := c.StartProbes()
	writer := c.StartWriter()
	timeline := timelineOf(t, leader)

	c.Etcd.Pause(0)
	lost := time.Now()
	time.Sleep(away)                               // nothing is to happen, so there is nothing to wait for
	c.WaitWrites(writer, enough)                   // so that a gap up to now is seen
	if gap := writer.LongestGap(lost); gap > ttl { // a primary that had stopped would be back no sooner
		t.Errorf("writes stopped for %s while all members were there", gap)
	}
	if now := timelineOf(t, leader); now != timeline {
		t.Errorf("timeline %s has become %s", timeline, now)
	}
	if _, document := leader.Get("/patroni"); !strings.Contains(document, `"failsafe_mode_is_active": true`) {
		t.Errorf("the primary does not say that failsafe mode keeps it up: %s", document)
	}
	if !strings.Contains(leader.Log(), "continue to run as a leader because failsafe mode is enabled and all members are accessible") {
		t.Error("the line that users of Patroni grep for is missing")
	}

	gone := c.Replicas(leader)[0]
	gone.Destroy()
	c.WaitFor(enough, "the primary giving up, as one member is missing", func() bool {
		answer, err := leader.SQL("SELECT pg_is_in_recovery()")
		return err == nil && answer == "t"
	})

	c.Etcd.Resume(0)
	gone.Run()
	c.WaitHealthy(2 * enough)
	c.WaitWrites(writer, enough)
	c.Account(true, append(probes, writer)...)
}

// TestOtherMembersKeepTheirPromise: who has accepted is not promoted before the promise is over, although the
// leader is gone and etcd is there; the leader itself refuses.
func TestOtherMembersKeepTheirPromise(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{TTL: 6, LoopWait: 1, Retry: 1, DCS: "failsafe_mode: true"})
	leader := c.Primary()
	c.WaitFor(enough, "all members in /failsafe", func() bool { return len(c.View().Failsafe) == 3 })
	other := c.Replicas(leader)[0]
	ask := func(n *testcluster.Node) (int, string) {
		body := fmt.Sprintf(`{"name": %q, "conn_url": "postgres://x/postgres", "api_url": "http://x/patroni", "hathi_ttl_ms": %d}`, "ghost", (2 * ttl).Milliseconds())
		code, text, err := n.REST(http.MethodPost, "/failsafe", body)
		if err != nil {
			t.Fatal(err)
		}
		return code, text
	}
	if code, text := ask(leader); code != 500 || text != "Running as a leader" {
		t.Errorf("the leader answers %d %q", code, text)
	}
	promised := time.Now()
	for _, n := range c.Replicas(leader) {
		if code, text := ask(n); code != 200 || text != "Accepted" {
			t.Errorf("%s answers %d %q", n.Name, code, text)
		}
	}
	leader.Destroy()
	c.WaitFor(enough, "another leader", func() bool { l := c.Leader(); return l != nil && l != leader })
	if waited := time.Since(promised); waited < 2*ttl {
		t.Errorf("%s was promoted after %s, the promise was for %s", c.Primary().Name, waited, 2*ttl)
	}
	if !strings.Contains(other.Log(), "ghost goes on without etcd, and I have promised to wait for it") {
		t.Error("the log does not say why nobody was promoted")
	}
	leader.Run()
	c.WaitHealthy(2 * enough)
}

func timelineOf(t *testing.T, n *testcluster.Node) string {
	t.Helper()
	line, err := n.SQL("SELECT timeline_id FROM pg_control_checkpoint()")
	if err != nil {
		t.Fatal(err)
	}
	return line
}
