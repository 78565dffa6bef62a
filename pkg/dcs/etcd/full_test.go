package etcd_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/integration/testetcd"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// TestFullEtcd: an etcd whose database is full renews leases and confirms the leader, but takes no writes and grants no
// leases. It says what to do, and is not taken for lost.
func TestFullEtcd(t *testing.T) {
	e := testetcd.StartOn(t, testetcd.Host{Quota: 4 << 20})
	s, other := join(t, e.Addresses(), "a"), join(t, e.Addresses(), "b")
	lead(t, s, longTTL)
	relieve := e.Fill()

	before := s.Lease().Expires
	lease, holds := renew(t, s, longTTL, true)
	expect(t, "the lock", true)(holds, nil)
	if lease.Expires <= before {
		t.Error("the lease was not renewed")
	}
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, dcs.ErrRefused) || !strings.Contains(err.Error(), "NOSPACE") || !strings.Contains(err.Error(), "etcdctl alarm disarm") {
			t.Errorf("%s: %v, want a refusal that tells of the alarm, and what to do", what, err)
		}
	}
	status := cluster.Status{Optime: 5}
	_, err := s.PutStatus(ctxFor(t), status)
	refused("status", err)
	_, _, err = other.Renew(ctxFor(t), longTTL, false)
	refused("a new lease", err)
	if v, h := s.Latest(); !healthy(v, h) {
		t.Errorf("it is taken for lost: %+v", h)
	}

	relieve()
	expect(t, "status", true)(s.PutStatus(ctxFor(t), status))
	renew(t, other, longTTL, false)
}
