package etcd_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testetcd"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/dcs/etcd"
)

// limit is what these tests give an operation. A busy machine may double it; an operation without one limit for all its
// requests takes three times as long, or for ever.
const limit = 2 * time.Second

// limited runs operations of a session at once, and looks that each of them ends with the limit.
func limited(t *testing.T, s *etcd.Session, operations map[string]func() error) {
	t.Helper()
	s.SetTimeouts(limit)
	var all sync.WaitGroup
	for name, call := range operations {
		all.Go(func() {
			begin := time.Now()
			err := call()
			if spent := time.Since(begin); spent > 2*limit {
				t.Errorf("%s took %v with a limit of %v", name, spent, limit)
			}
			if !errors.Is(err, dcs.ErrMaybe) && !errors.Is(err, dcs.ErrNotSent) || !strings.Contains(err.Error(), "no answer within") {
				t.Errorf("%s: %v, want an error that tells what may have become of it, and a reason", name, err)
			}
		})
	}
	all.Wait()
}

func operations(s *etcd.Session) map[string]func() error {
	ctx, ignore := context.Background(), func(_ bool, err error) error { return err }
	return map[string]func() error{
		"renew":   func() error { _, _, err := s.Renew(ctx, longTTL, true); return err },
		"acquire": func() error { return ignore(s.AcquireLeader(ctx, 0)) },
		"release": func() error { return ignore(s.ReleaseLeader(ctx, nil)) },
		"status":  func() error { return ignore(s.PutStatus(ctx, cluster.Status{Optime: 1})) },
		"config":  func() error { return ignore(s.PutConfig(ctx, []byte("{}"), 0)) },
		"member":  func() error { return s.PutMember(ctx, cluster.Member{Name: "a"}) },
		"refresh": func() error { _, err := s.Refresh(ctx); return err },
	}
}

// TestFrozenEtcd: retry_timeout is a hard limit while all members of etcd are frozen, also while they are replaced in the
// configuration by others that don't answer either.
func TestFrozenEtcd(t *testing.T) {
	e := testetcd.Start(t, 3)
	c := open(t, e.Addresses()...)
	s := joinWith(t, c, "a")
	waitFor(t, s, "the first view", healthy)
	lead(t, s, longTTL)
	for i := range 3 {
		e.Pause(i)
	}
	limited(t, s, operations(s))
	waitFor(t, s, "trouble", failing)

	lists := [][]string{{silent(t), silent(t)}, e.Addresses(), append(e.Addresses(), silent(t))}
	reloads, done := 0, make(chan struct{})
	end := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond) // it may come at any moment
		defer tick.Stop()
		for ; ; reloads++ {
			if err := c.Reconfigure(ctxFor(t), etcd.Options{Hosts: lists[reloads%len(lists)]}); err != nil {
				t.Error(err)
			}
			select {
			case <-tick.C:
			case <-end:
				return
			}
		}
	}()
	limited(t, s, operations(s))
	close(end)
	<-done
	if reloads < 3 {
		t.Errorf("the endpoints were replaced only %d times", reloads)
	}

	if err := c.Reconfigure(ctxFor(t), etcd.Options{Hosts: e.Addresses()}); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		e.Resume(i)
	}
	s.SetTimeouts(patient)
	lead(t, s, longTTL) // again, for the release may have been applied
	waitFor(t, s, "health", healthy)
}

// silent gives the address of somebody who takes connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String() // the kernel takes them
}

// TestSlowEtcd: an operation that needs several requests has one limit for all of them.
func TestSlowEtcd(t *testing.T) {
	e := testetcd.Start(t)
	p := newProxy(t, e.Addresses()[0])
	// By no other way than this one.
	s, cli := joinWith(t, openWith(t, etcd.Options{Hosts: []string{p.address()}, UseProxies: true}), "a"), raw(t, e)
	waitFor(t, s, "the first view", healthy)
	put := func(key, value string) {
		t.Helper()
		if _, err := cli.Put(ctxFor(t), "/service/batman/"+key, value); err != nil {
			t.Fatal(err)
		}
	}
	renew(t, s, longTTL, false)
	for _, c := range []struct {
		name string
		// change is what the session has not heard of when it is called, so that one request is not enough.
		change func()
	}{
		{"acquire", func() { put("leader", "a") }},
		{"status", func() { put("leader", "a"); put("status", "7") }},
		{"member", func() { put("members/a", "{}") }},
		{"release", func() {
			if _, err := cli.Delete(ctxFor(t), "/service/batman/leader"); err != nil {
				t.Fatal(err)
			}
			put("leader", "a")
		}},
	} {
		p.slow(900 * time.Millisecond) // two thirds of the limit, with the attempts before that are too short
		c.change()
		limited(t, s, map[string]func() error{c.name: operations(s)[c.name]})
		p.heal()
		s.SetTimeouts(patient)
		renew(t, s, longTTL, false)
		waitFor(t, s, "health", healthy)
	}
}
