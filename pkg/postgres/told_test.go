package postgres

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestTold: a server whose promotion hangs is known as one, by an agent that comes later too, until it is a primary or
// has ended.
func TestTold(t *testing.T) {
	p := primary(t)
	cfg := newConfig(t, "node2")
	hang := filepath.Join(filepath.Dir(cfg.DataDir), "hang")
	must(t, p, os.WriteFile(hang, nil, 0o600))
	cfg.Recovery = []Parameter{{"restore_command", "case %f in *.history) while test -e " + hang + "; do sleep 0.1; done ;; esac; false"}}
	r := newInstance(t, cfg)
	must(t, r, r.Clone(t.Context(), cluster.Copy{From: address(p)}))
	must(t, r, os.Remove(hang)) // a standby that starts looks for history files as well
	must(t, r, r.StartReplica(t.Context(), address(p)))
	eventually(t, r, "caught up", caughtUp(p))
	tell := func() {
		t.Helper()
		must(t, r, os.WriteFile(hang, nil, 0o600))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		promoted := make(chan error, 1)
		go func() { promoted <- r.Promote(ctx) }()
		eventually(t, r, "told", func(s cluster.Server) bool { return s.Promoting })
		select {
		case err := <-promoted:
			t.Fatalf("the promotion did not hang: %v", err)
		case <-time.After(500 * time.Millisecond): // for one that asks pre_promote again to be refused
		}
		cancel()
		if err := <-promoted; err == nil || errors.Is(err, cluster.ErrPromotionRefused) {
			t.Fatalf("the promotion did not hang: %v", err)
		}
	}
	if s := r.Observe(t.Context()); s.Promoting {
		t.Errorf("told before anybody has: %+v", s)
	}
	tell()
	for who, i := range map[string]*Instance{"this agent": r, "the next one": newInstance(t, r.cfg)} {
		if s := i.Observe(t.Context()); !s.Promoting || !s.Answered || !s.InRecovery {
			t.Errorf("%s does not see that it was told: %+v", who, s)
		}
	}
	_, err := r.Stop(t.Context(), cluster.StopImmediate, false)
	must(t, r, err)
	must(t, r, os.Remove(hang))
	must(t, r, r.StartReplica(t.Context(), address(p)))
	if s := eventually(t, r, "streaming", func(s cluster.Server) bool { return s.ReceiverStatus == "streaming" }); s.Promoting {
		t.Errorf("the next postmaster was not told: %+v", s)
	}
	r.cfg.PrePromote = "true"
	tell()
	r.cfg.PrePromote = "false" // asked once, before the server is told
	tell()
	must(t, r, os.Remove(hang))
	if err := r.Promote(t.Context()); err != nil && !errors.Is(err, ErrNotInRecovery) { // it may have become a primary at once
		t.Fatal(err)
	}
	if s := eventually(t, r, "a primary", func(s cluster.Server) bool { return s.IsPrimary() }); s.Promoting || exists(promotingMark(r.cfg.DataDir)) {
		t.Errorf("promoted: %+v", s)
	}
}
