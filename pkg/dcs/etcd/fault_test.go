package etcd_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/hathi-ha/hathi/integration/testetcd"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

func TestWatchComesBackAfterEtcdWasKilled(t *testing.T) {
	e := testetcd.Start(t)
	s := join(t, e.Addresses(), "a")
	lead(t, s, longTTL)
	e.Kill(0)
	waitFor(t, s, "trouble", failing)
	if v, _ := s.Latest(); v.Leader.Name != "a" {
		t.Errorf("the view is lost while etcd is away: %+v", v)
	}
	e.Start(0)
	waitFor(t, s, "the watch", healthy)
	if _, err := raw(t, e).Put(ctxFor(t), "/service/batman/status", "77"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, s, "a change", func(v *cluster.View, _ dcs.Health) bool { return v.Status.Optime == 77 })
	_, holds := renew(t, s, longTTL, true)
	expect(t, "the lock after the restart", true)(holds, nil)
}

func TestEtcdWithoutItsDataIsReadAnew(t *testing.T) {
	e := testetcd.Start(t)
	s := join(t, e.Addresses(), "a")
	lead(t, s, longTTL)
	for i := range 5 { // so that the new etcd's revisions are lower
		expect(t, "status", true)(s.PutStatus(ctxFor(t), cluster.Status{Optime: cluster.LSN(i + 1)}))
	}
	e.Kill(0)
	e.Wipe(0)
	e.Start(0)
	v := waitFor(t, s, "no leader", func(v *cluster.View, h dcs.Health) bool { return healthy(v, h) && !v.Locked() })
	if v.Status.Present {
		t.Errorf("what is gone is still in the view: %+v", v)
	}
	_, holds := renew(t, s, longTTL, true)
	expect(t, "the lock that is gone", false)(holds, nil)
	lead(t, s, longTTL)
	if v, _ := s.Latest(); v.Leader.Name != "a" {
		t.Errorf("own write is not in the view: %+v", v.Leader)
	}
}

func TestCompactionWhileAwayIsReadAnew(t *testing.T) {
	e := testetcd.Start(t)
	p := newProxy(t, e.Addresses()[0])
	s, cli := join(t, []string{p.address()}, "a"), raw(t, e)
	p.lose()
	var last int64
	for i := range 20 {
		resp, err := cli.Put(ctxFor(t), "/service/batman/status", strconv.Itoa(i))
		if err != nil {
			t.Fatal(err)
		}
		last = resp.Header.Revision
	}
	if _, err := cli.Compact(ctxFor(t), last); err != nil {
		t.Fatal(err)
	}
	p.heal()
	waitFor(t, s, "the newest status", func(v *cluster.View, h dcs.Health) bool { return healthy(v, h) && v.Status.Optime == 19 })
}

// TestCompactedWatch: a watch from a revision that was compacted meanwhile says so, and does not stay silent. Then
// everything is read anew, as after each watch that ends.
func TestCompactedWatch(t *testing.T) {
	e := testetcd.Start(t)
	s, cli := join(t, e.Addresses(), "a"), raw(t, e)
	resp, err := cli.Put(ctxFor(t), "/service/batman/status", "1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cli.Compact(ctxFor(t), resp.Header.Revision); err != nil {
		t.Fatal(err)
	}
	err = s.WatchFrom(ctxFor(t), 1)
	if want := fmt.Sprintf("revision %d was compacted away", resp.Header.Revision); err == nil || err.Error() != want {
		t.Errorf("a watch from revision 1 says %v, want %s", err, want)
	}
}

func TestOneOfThreeFrozen(t *testing.T) {
	e := testetcd.Start(t, 3)
	a, b := join(t, e.Addresses(), "a"), join(t, e.Addresses(), "b")
	for _, s := range []interface{ SetTimeouts(time.Duration) }{a, b} {
		s.SetTimeouts(5 * time.Second)
	}
	lead(t, a, longTTL)
	for i := range 3 {
		e.Pause(i)
		optime := cluster.LSN(100 + i)
		// If the frozen one is etcd's leader, the others elect a new one within this operation's budget.
		expect(t, "status", true)(a.PutStatus(ctxFor(t), cluster.Status{Optime: optime}))
		_, holds := renew(t, a, longTTL, true)
		expect(t, "the lock", true)(holds, nil)
		// Whichever member b's watch is at: its own requests show that there is more, and it looks elsewhere.
		for deadline := time.Now().Add(patient); ; {
			renew(t, b, longTTL, false)
			if v, _ := b.Latest(); v.Status.Optime == optime {
				break
			}
			if time.Now().After(deadline) {
				v, h := b.Latest()
				t.Fatalf("member %d frozen: b still sees %+v, %+v\n%s\na: %s, etcd at %d", i, v.Status, h, b.WatchText(), a.WatchText(), revisionOf(t, e))
			}
			select {
			case <-b.Changed():
			case <-time.After(100 * time.Millisecond): // the loop's next turn
			}
		}
		e.Resume(i)
	}
}

func TestLostAnswers(t *testing.T) {
	e := testetcd.Start(t)
	p := newProxy(t, e.Addresses()[0])
	s := join(t, []string{p.address()}, "a")
	renew(t, s, longTTL, false)
	cli := raw(t, e)
	for _, c := range []struct {
		name string
		key  string // shows that the first attempt was applied
		want string // empty: the key is gone
		call func() (bool, error)
	}{
		{"acquire", "leader", "a", func() (bool, error) { return s.AcquireLeader(ctxFor(t), 0) }},
		{"config", "config", "{}", func() (bool, error) { return s.PutConfig(ctxFor(t), []byte("{}"), 0) }},
		{"initialize", "initialize", "7000000000000000001", func() (bool, error) { return s.CreateInitialize(ctxFor(t), "7000000000000000001") }},
		{"release", "leader", "", func() (bool, error) { return s.ReleaseLeader(ctxFor(t), nil) }},
	} {
		p.lose()
		type result struct {
			ok  bool
			err error
		}
		done := make(chan result, 1)
		go func() { ok, err := c.call(); done <- result{ok, err} }()
		awaitKey(t, cli, c.key, c.want)
		p.heal()
		if r := <-done; !r.ok || r.err != nil {
			t.Errorf("%s was applied and its answer lost: %v, %v", c.name, r.ok, r.err)
		}
	}
}

func awaitKey(t *testing.T, cli *clientv3.Client, key, want string) {
	t.Helper()
	for deadline := time.Now().Add(patient); time.Now().Before(deadline); {
		resp, err := cli.Get(ctxFor(t), "/service/batman/"+key)
		if err != nil {
			t.Fatal(err)
		}
		if len(resp.Kvs) == 0 && want == "" || len(resp.Kvs) == 1 && string(resp.Kvs[0].Value) == want {
			return
		}
	}
	t.Fatalf("%s did not become %q", key, want)
}

// TestEmptyInitializeWithLostAnswer: by its lease an empty key is known to be ours.
func TestEmptyInitializeWithLostAnswer(t *testing.T) {
	e := testetcd.Start(t)
	p := newProxy(t, e.Addresses()[0])
	s := join(t, []string{p.address()}, "a")
	renew(t, s, longTTL, false)
	p.lose()
	type result struct {
		ok  bool
		err error
	}
	done := make(chan result, 1)
	go func() { ok, err := s.CreateInitialize(ctxFor(t), ""); done <- result{ok, err} }()
	cli := raw(t, e)
	for deadline := time.Now().Add(patient); time.Now().Before(deadline); {
		if resp, err := cli.Get(ctxFor(t), "/service/batman/initialize"); err == nil && len(resp.Kvs) == 1 {
			break
		}
	}
	p.heal()
	if r := <-done; !r.ok || r.err != nil {
		t.Errorf("it was applied and its answer lost: %v, %v", r.ok, r.err)
	}
	if v, _ := s.Latest(); v.Initialize.Lease != s.Lease().ID {
		t.Errorf("the view has %+v, want it on lease %d", v.Initialize, s.Lease().ID)
	}
}

func TestReleaseOfALockThatWasMadeAnew(t *testing.T) {
	e := testetcd.Start(t)
	early, late := join(t, e.Addresses(), "a"), join(t, e.Addresses(), "b")
	lead(t, early, longTTL)
	waitFor(t, late, "the lock", leads("a"))
	cli := raw(t, e)
	// The key is deleted and made again, as if it had been lost and won again in between. A release says
	// which creation it means, see ReleaseLeader.
	lease := clientv3.WithLease(clientv3.LeaseID(early.Lease().ID))
	_, err := cli.Txn(ctxFor(t)).Then(clientv3.OpDelete("/service/batman/leader")).Commit()
	if err == nil {
		_, err = cli.Put(ctxFor(t), "/service/batman/leader", "a", lease)
	}
	if err != nil {
		t.Fatal(err)
	}
	// Whether or not the view has caught up with that, the release finds the present one.
	expect(t, "release of the present lock", true)(early.ReleaseLeader(ctxFor(t), nil))
	waitFor(t, late, "no leader", leads(""))
}

// An agent at rest may cost six requests a minute and a leader's proof another six, with ten seconds
// between renewals: one and two for each renewal, and the watch none.
func TestRequestsAtRest(t *testing.T) {
	e := testetcd.Start(t)
	a, b := join(t, e.Addresses(), "a"), join(t, e.Addresses(), "b")
	lead(t, a, longTTL)
	for _, s := range []interface {
		PutMember(context.Context, cluster.Member) error
		Renew(context.Context, time.Duration, bool) (dcs.Lease, bool, error)
	}{a, b} {
		if _, _, err := s.Renew(ctxFor(t), longTTL, false); err != nil {
			t.Fatal(err)
		}
		if err := s.PutMember(ctxFor(t), cluster.Member{Name: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	before := requests(t, e)
	for range 6 {
		renew(t, a, longTTL, true)
		expect(t, "status", true)(a.PutStatus(ctxFor(t), cluster.Status{Optime: 5}))
		if err := a.PutMember(ctxFor(t), cluster.Member{Name: "x"}); err != nil {
			t.Fatal(err)
		}
		renew(t, b, longTTL, false)
	}
	// One more is the first of the six equal writes of the status.
	if cost := requests(t, e) - before; cost != 6*3+1 {
		t.Errorf("a minute at rest costs a leader and a replica %d requests, want 19", cost)
	}
}

// requests sums up the calls that etcd has begun to serve.
func requests(t *testing.T, e *testetcd.Cluster) int {
	t.Helper()
	resp, err := http.Get(e.Endpoints()[0] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		if strings.HasPrefix(line, "grpc_server_started_total{") {
			n, err := strconv.Atoi(line[strings.LastIndex(line, " ")+1:])
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	if sum == 0 {
		t.Fatal("etcd counts no requests")
	}
	return sum
}
