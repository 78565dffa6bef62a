package postgres

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestStopWhileRestartingAfterACrash: the postmaster that is asked to stop before its recovery has begun forgets about its
// checkpointer, and waits for it.
func TestStopWhileRestartingAfterACrash(t *testing.T) {
	p := primary(t)
	cfg := newConfig(t, "node2")
	hang, began := filepath.Join(filepath.Dir(cfg.DataDir), "hang"), filepath.Join(filepath.Dir(cfg.DataDir), "began")
	cfg.Recovery = []Parameter{{"restore_command", "touch " + began + "; while test -e " + hang + "; do sleep 0.1; done; false"}}
	i := newInstance(t, cfg)
	must(t, i, i.Clone(t.Context(), cluster.Copy{From: address(p)}))
	must(t, i, i.StartReplica(t.Context(), address(p)))
	eventually(t, i, "streaming", func(s cluster.Server) bool { return s.ReceiverStatus == "streaming" })
	must(t, i, os.WriteFile(hang, nil, 0o600))
	must(t, i, os.Remove(began))
	pids, err := i.leftovers()
	must(t, i, err)
	at := slices.IndexFunc(pids, func(pid int) bool { return titled(pid, "walreceiver") })
	must(t, i, syscall.Kill(pids[at], syscall.SIGKILL))
	eventually(t, i, "recovery", func(cluster.Server) bool { return exists(began) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := i.Stop(ctx, cluster.StopFast, false); err != nil || ctx.Err() != nil {
		t.Errorf("the stop: %v, %v\n%s", err, ctx.Err(), serverLog(i))
	}
}

// TestStopPrimary: what can't write any more is no server, although its archiver goes on, and somebody may lead meanwhile.
func TestStopPrimary(t *testing.T) {
	cfg := newConfig(t, "node1")
	hang := filepath.Join(filepath.Dir(cfg.DataDir), "hang")
	cfg.Parameters = append(cfg.Parameters, Parameter{"archive_mode", "on"}, Parameter{"archive_command", "while test -e " + hang + "; do sleep 0.1; done"})
	p := primaryWith(t, cfg)
	must(t, p, os.WriteFile(hang, nil, 0o600))
	sql(t, p, "CREATE TABLE public.rows (n int)")
	sql(t, p, "SELECT pg_switch_wal()")
	asked := []cluster.LSN{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	lsn, err := p.StopPrimary(ctx, true, func(at cluster.LSN) bool {
		asked = append(asked, at)
		if s := p.Observe(ctx); p.postmaster() == nil || s.Process != cluster.ProcessNone || s.State != cluster.StateStopped || s.Control.State != "shut down" {
			t.Errorf("process %v, state %s, control file %q, and there is a postmaster: %t", s.Process, s.State, s.Control.State, p.postmaster() != nil)
		}
		if len(asked) == 2 { // time enough to be asked again
			time.AfterFunc(3*shutDownPause, func() { _ = os.Remove(hang) })
		}
		return len(asked) == 2
	})
	if err != nil || ctx.Err() != nil || lsn == 0 || !slices.Equal(asked, []cluster.LSN{lsn, lsn}) {
		t.Errorf("stopped at %s: %v, asked for %s\n%s", lsn, err, asked, serverLog(p))
	}
	must(t, p, p.StartPrimary(t.Context(), 0, nil))
	if s := p.Observe(t.Context()); s.Process != cluster.ProcessRunning || !s.IsPrimary() {
		t.Errorf("started again: process %v, state %s", s.Process, s.State)
	}
}
