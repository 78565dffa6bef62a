package postgres

import (
	"context"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestLateLookKeepsTheConnection: a request whose time was over before its turn came does not cost the others the
// connection that all share.
func TestLateLookKeepsTheConnection(t *testing.T) {
	i := primary(t)
	if !i.Observe(t.Context()).Answered {
		t.Fatal("the server does not answer")
	}
	pid := i.watch.conn.PID()
	late, cancel := context.WithCancel(t.Context())
	cancel()
	if s := i.Observe(late); s.Answered || s.SilentFor <= 0 || s.Process != cluster.ProcessRunning {
		t.Errorf("too late: %+v", s)
	}
	if !i.Observe(t.Context()).Answered || i.watch.conn.PID() != pid {
		t.Error("the connection was given up")
	}
}
