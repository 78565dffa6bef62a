package etcd_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testetcd"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/dcs/etcd"
)

func TestMemberKey(t *testing.T) {
	e := testetcd.Start(t)
	a, b := join(t, e.Addresses(), "a"), join(t, e.Addresses(), "b")
	m := cluster.Member{Name: "a", State: cluster.StateRunning, Role: cluster.RoleReplica, ReplayLSN: 1}
	if err := a.PutMember(ctxFor(t), m); !errors.Is(err, dcs.ErrNotSent) {
		t.Errorf("put without a lease: %v, want ErrNotSent", err)
	}
	renew(t, a, longTTL, false) // puts what could not be put
	v := waitFor(t, b, "a's key", func(v *cluster.View, _ dcs.Health) bool { return len(v.Members) == 1 })
	first := v.Members[0]
	if first.ReplayLSN != 1 || first.Lease != a.Lease().ID {
		t.Errorf("member %+v", first)
	}
	revision := revisionOf(t, e)
	if err := a.PutMember(ctxFor(t), m); err != nil {
		t.Fatal(err)
	}
	if now := revisionOf(t, e); now != revision {
		t.Errorf("equal content was written again: revision %d, then %d", revision, now)
	}
	if _, err := raw(t, e).Delete(ctxFor(t), "/service/batman/members/a"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, a, "the key to be gone", func(v *cluster.View, _ dcs.Health) bool { return len(v.Members) == 0 })
	renew(t, a, longTTL, false) // puts it again
	waitFor(t, b, "a's key again", func(v *cluster.View, _ dcs.Health) bool { return len(v.Members) == 1 })
	if err := a.DeleteMember(ctxFor(t)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, b, "a's key to be gone", func(v *cluster.View, _ dcs.Health) bool { return len(v.Members) == 0 })
	renew(t, a, longTTL, false)
	if v, err := b.Refresh(ctxFor(t)); err != nil || len(v.Members) != 0 {
		t.Errorf("a deleted key came back: %v, %v", v, err)
	}
}

func revisionOf(t *testing.T, e *testetcd.Cluster) int64 {
	t.Helper()
	resp, err := raw(t, e).Get(ctxFor(t), "x")
	if err != nil {
		t.Fatal(err)
	}
	return resp.Header.Revision
}

func TestConditionalWrites(t *testing.T) {
	e := testetcd.Start(t)
	s, other := join(t, e.Addresses(), "a"), join(t, e.Addresses(), "b")
	ctx := ctxFor(t)
	view := func() *cluster.View { v, _ := s.Latest(); return v }

	if _, err := s.CreateInitialize(ctx, ""); !errors.Is(err, dcs.ErrNotSent) {
		t.Errorf("an empty initialize without a lease: %v, want ErrNotSent", err)
	}
	renew(t, s, longTTL, false)
	renew(t, other, longTTL, false)
	expect(t, "create initialize", true)(s.CreateInitialize(ctx, ""))
	if got := view().Initialize; !got.Present || got.Lease != s.Lease().ID {
		t.Errorf("initialize %+v, want it on lease %d", got, s.Lease().ID)
	}
	expect(t, "create it again", false)(other.CreateInitialize(ctx, ""))
	expect(t, "put it at another revision", false)(s.PutInitialize(ctx, "7000000000000000001", view().Initialize.Revision+1))
	expect(t, "delete another empty one", false)(s.DeleteInitialize(ctx, view().Initialize.Revision-1))
	expect(t, "delete the empty one", true)(s.DeleteInitialize(ctx, view().Initialize.Revision))
	expect(t, "delete it twice", false)(s.DeleteInitialize(ctx, view().Initialize.Revision))
	expect(t, "create it once more", true)(s.CreateInitialize(ctx, ""))
	expect(t, "put the identifier", true)(s.PutInitialize(ctx, "7000000000000000001", view().Initialize.Revision))
	expect(t, "delete one that is not empty", false)(s.DeleteInitialize(ctx, view().Initialize.Revision))
	if got := view().Initialize; got.SystemID() != "7000000000000000001" || got.Lease != 0 {
		t.Errorf("initialize %+v, want the identifier, and on no lease", got)
	}

	expect(t, "create config", true)(s.PutConfig(ctx, []byte(`{"ttl":30}`), 0))
	expect(t, "create it again", false)(s.PutConfig(ctx, []byte(`{}`), 0))
	revision := view().Config.Revision
	expect(t, "change config", true)(s.PutConfig(ctx, []byte(`{"ttl":20}`), revision))
	expect(t, "change it as it was", false)(s.PutConfig(ctx, []byte(`{"ttl":10}`), revision))
	if got := string(view().Config.Raw); got != `{"ttl":20}` {
		t.Errorf("config is %s", got)
	}

	request := cluster.FailoverRequest{Leader: "a", Candidate: "b"}
	expect(t, "create failover", true)(s.PutFailover(ctx, request, 0))
	expect(t, "a second request", false)(s.PutFailover(ctx, request, 0))
	expect(t, "clear it", true)(s.PutFailover(ctx, cluster.FailoverRequest{}, view().Failover.Revision))
	if f := view().Failover; f.Pending() || f.Revision == 0 {
		t.Errorf("failover is %+v", f)
	}

	sync := cluster.SyncState{Leader: "a", Standbys: []string{"b"}, Quorum: 1}
	expect(t, "create sync", true)(s.PutSync(ctx, sync, 0))
	expect(t, "create it again", false)(s.PutSync(ctx, sync, 0))
	expect(t, "delete it at another revision", false)(s.DeleteSync(ctx, view().Sync.Revision-1))
	expect(t, "delete it", true)(s.DeleteSync(ctx, view().Sync.Revision))
	if got := view().Sync.Revision; got != 0 {
		t.Errorf("sync is still there at %d", got)
	}
}

func TestGarbageBreaksNothing(t *testing.T) {
	e := testetcd.Start(t)
	s, cli := join(t, e.Addresses(), "a"), raw(t, e)
	for _, value := range []string{"", "null", "[]", "7", "{", "\xff\xfe\x00", strings.Repeat("[", 5000)} {
		for _, key := range []string{"leader", "config", "initialize", "status", "optime/leader", "failover", "sync", "history", "failsafe", "members/x", "members/x/y", "other"} {
			if _, err := cli.Put(ctxFor(t), "/service/batman/"+key, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	last, err := cli.Put(ctxFor(t), "/service/batman/members/last", `{"state":"running"}`)
	if err != nil {
		t.Fatal(err)
	}
	v := waitFor(t, s, "the last key", func(v *cluster.View, _ dcs.Health) bool { return v.Revision >= last.Header.Revision })
	if len(v.Members) != 2 {
		t.Errorf("members: %+v", v.Members)
	}
	renew(t, s, longTTL, true)
}

func TestOnlyNewsWake(t *testing.T) {
	e := testetcd.Start(t)
	a, b := join(t, e.Addresses(), "a"), join(t, e.Addresses(), "b")
	lead(t, a, longTTL)
	m := cluster.Member{Name: "a", State: cluster.StateRunning}
	if err := a.PutMember(ctxFor(t), m); err != nil {
		t.Fatal(err)
	}
	waitFor(t, b, "a's keys", func(v *cluster.View, _ dcs.Health) bool { return v.Locked() && len(v.Members) == 1 })
	for _, s := range []*etcd.Session{a, b} {
		for len(s.Changed()) > 0 {
			<-s.Changed()
		}
	}
	m.ReplayLSN = 1000
	if err := a.PutMember(ctxFor(t), m); err != nil {
		t.Fatal(err)
	}
	// A change that matters comes after; by the time b sees it the one before has been there.
	expect(t, "status", true)(a.PutStatus(ctxFor(t), cluster.Status{Optime: 5}))
	seen := 0
	for {
		<-b.Changed()
		seen++
		if v, _ := b.Latest(); v.Status.Optime == 5 {
			if got, _ := v.Member("a"); got.ReplayLSN != 1000 {
				t.Errorf("the position is not in the view: %+v", got)
			}
			break
		}
	}
	if seen != 1 {
		t.Errorf("woken %d times, want once", seen)
	}
	// The echo of what a wrote has reached it when something of b's has.
	renew(t, b, longTTL, false)
	if len(a.Changed()) != 0 {
		t.Error("a was woken by what it wrote itself")
	}
	if err := b.PutMember(ctxFor(t), cluster.Member{Name: "b"}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, a, "b's key", func(v *cluster.View, _ dcs.Health) bool { return len(v.Members) == 2 })
}

func TestErrorsNameEndpointAndReason(t *testing.T) {
	e := testetcd.Start(t)
	addr := e.Addresses()[0]
	e.Kill(0)
	c := open(t, addr)
	begin := time.Now()
	_, err := c.Snapshot(ctxFor(t), "batman")
	if !errors.Is(err, dcs.ErrNotSent) || !strings.Contains(fmt.Sprint(err), addr) || !strings.Contains(fmt.Sprint(err), "connection refused") {
		t.Errorf("etcd is away: %v", err)
	}
	if spent := time.Since(begin); spent > etcd.DefaultTimeout/2 {
		t.Errorf("it took %v to say that nobody listens", spent)
	}
}
