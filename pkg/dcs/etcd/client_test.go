package etcd_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/hathi-ha/hathi/integration/testetcd"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/dcs/etcd"
)

func TestControl(t *testing.T) {
	e := testetcd.Start(t)
	c, ctx := open(t, e.Addresses()...), ctxFor(t)
	if v, err := c.Snapshot(ctx, "batman"); err != nil || v.Config.Present || len(v.Members) != 0 {
		t.Fatalf("a cluster that is not there: %+v, %v", v, err)
	}
	expect(t, "create config", true)(c.PutConfig(ctx, "batman", []byte(`{"ttl":30}`), 0))
	expect(t, "create it twice", false)(c.PutConfig(ctx, "batman", []byte(`{"ttl":30}`), 0))
	expect(t, "another cluster", true)(c.PutConfig(ctx, "batman-2", []byte(`{}`), 0))
	expect(t, "failover", true)(c.PutFailover(ctx, "batman", cluster.FailoverRequest{Candidate: "b"}, 0))
	v, err := c.Snapshot(ctx, "batman")
	if err != nil || string(v.Config.Raw) != `{"ttl":30}` || v.Failover.Candidate != "b" {
		t.Fatalf("snapshot %+v, %v", v, err)
	}
	expect(t, "change a request that changed", false)(c.PutFailover(ctx, "batman", cluster.FailoverRequest{}, v.Failover.Revision+1))
	expect(t, "clear the request", true)(c.PutFailover(ctx, "batman", cluster.FailoverRequest{}, v.Failover.Revision))
	if scopes, err := c.Scopes(ctx); err != nil || !slices.Equal(scopes, []string{"batman", "batman-2"}) {
		t.Errorf("scopes %v, %v", scopes, err)
	}
	if _, err := c.DeleteCluster(ctx, ""); err == nil {
		t.Error("a cluster without a name was removed")
	}
	if n, err := c.DeleteCluster(ctx, "batman"); err != nil || n != 2 {
		t.Errorf("removed %d, %v, want 2", n, err)
	}
	if scopes, err := c.Scopes(ctx); err != nil || !slices.Equal(scopes, []string{"batman-2"}) {
		t.Errorf("scopes %v, %v", scopes, err)
	}
}

func TestReleaseForAnAgentThatIsGone(t *testing.T) {
	e := testetcd.Start(t)
	s, c := join(t, e.Addresses(), "a"), open(t, e.Addresses()...)
	lead(t, s, longTTL)
	expect(t, "another's name", false)(c.ReleaseLeader(ctxFor(t), "batman", "b", s.Lease().ID))
	expect(t, "another lease", false)(c.ReleaseLeader(ctxFor(t), "batman", "a", s.Lease().ID+1))
	expect(t, "the lock", true)(c.ReleaseLeader(ctxFor(t), "batman", "a", s.Lease().ID))
	waitFor(t, s, "no leader", leads(""))
}

// A command is one request: that is what keeps it as quick as make bench measures.
func TestSnapshotIsOneRequest(t *testing.T) {
	e := testetcd.Start(t)
	snapshot := func() {
		if _, err := open(t, e.Addresses()...).Snapshot(ctxFor(t), "batman"); err != nil {
			t.Fatal(err)
		}
	}
	snapshot() // etcd counts from the first on
	before := requests(t, e)
	snapshot()
	if cost := requests(t, e) - before; cost != 1 {
		t.Errorf("a snapshot costs %d requests, want 1", cost)
	}
}

func TestDeadEndpointsAreSkipped(t *testing.T) {
	e := testetcd.Start(t, 3)
	e.Kill(0)
	e.Pause(1)
	defer e.Resume(1)
	// Two of three are gone, so nothing can be served; that is to be said in time.
	c := openWith(t, etcd.Options{Hosts: e.Addresses(), Timeout: limit})
	begin := time.Now()
	_, err := c.Snapshot(ctxFor(t), "batman")
	if err == nil || time.Since(begin) > 2*limit {
		t.Errorf("without a majority: %v after %v", err, time.Since(begin))
	}
	e.Resume(1)
	for deadline := time.Now().Add(patient); ; {
		if _, err = c.Snapshot(ctxFor(t), "batman"); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("with a majority again: %v", err)
		}
	}
}

func TestUserAndPassword(t *testing.T) {
	e := testetcd.Start(t)
	cli, ctx := raw(t, e), ctxFor(t)
	_, err := cli.RoleAdd(ctx, "root")
	for _, step := range []func() error{
		func() error { _, err := cli.UserAdd(ctx, "root", "rootpw"); return err },
		func() error { _, err := cli.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := cli.RoleAdd(ctx, "hathi"); return err },
		func() error {
			_, err := cli.RoleGrantPermission(ctx, "hathi", "/service/", "/service0", clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func() error { _, err := cli.UserAdd(ctx, "hathi", "secret"); return err },
		func() error { _, err := cli.UserGrantRole(ctx, "hathi", "hathi"); return err },
		func() error { _, err := cli.AuthEnable(ctx); return err },
	} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		t.Fatal(err)
	}

	_, err = open(t, e.Addresses()...).Snapshot(ctx, "batman")
	if !errors.Is(err, dcs.ErrRefused) {
		t.Errorf("without a user: %v, want ErrRefused", err)
	}
	wrong := openWith(t, etcd.Options{Hosts: e.Addresses(), Username: "hathi", Password: "wrong"})
	_, err = wrong.Snapshot(ctx, "batman")
	if !errors.Is(err, etcd.ErrAuthentication) || !errors.Is(err, dcs.ErrRefused) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("with a wrong password: %v, want ErrAuthentication", err)
	}

	right := openWith(t, etcd.Options{URL: "http://hathi:secret@" + e.Addresses()[0]})
	s := joinWith(t, right, "a")
	waitFor(t, s, "the first view", healthy)
	lead(t, s, longTTL)
	other := openWith(t, etcd.Options{Hosts: e.Addresses(), Username: "hathi", Password: "secret", Namespace: "elsewhere"})
	if _, err := other.Snapshot(ctx, "batman"); !errors.Is(err, dcs.ErrRefused) || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("outside of what the user may: %v", err)
	}

	// A restart makes etcd forget the tokens it gave out.
	e.Kill(0)
	e.Start(0)
	_, holds := renew(t, s, longTTL, true)
	expect(t, "the lock with a new token", true)(holds, nil)
	waitFor(t, s, "the watch with a new token", healthy)
}

func TestUserIsIgnoredWhereThereIsNoAuthentication(t *testing.T) {
	e := testetcd.Start(t)
	c := openWith(t, etcd.Options{Hosts: e.Addresses(), Username: "hathi", Password: "secret"})
	if _, err := c.Snapshot(ctxFor(t), "batman"); err != nil {
		t.Error(err)
	}
}

func TestMembersAreDiscovered(t *testing.T) {
	e := testetcd.Start(t, 3)
	c := open(t, e.Addresses()[0])
	s := joinWith(t, c, "a")
	waitFor(t, s, "the first view", healthy)
	renew(t, s, longTTL, false)
	if got := c.Endpoints(); len(got) != 3 {
		t.Fatalf("endpoints %v, want those of three members", got)
	}
	e.Kill(0)
	renew(t, s, longTTL, false)
	waitFor(t, s, "the watch at another member", healthy)

	fixed := openWith(t, etcd.Options{Hosts: e.Addresses()[1:2], UseProxies: true})
	f := joinWith(t, fixed, "b")
	waitFor(t, f, "the first view", healthy)
	renew(t, f, longTTL, false)
	if got := fixed.Endpoints(); len(got) != 1 {
		t.Errorf("endpoints %v, want only the given one", got)
	}
}
