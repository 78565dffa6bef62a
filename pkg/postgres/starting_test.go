package postgres

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestFollowBeforeConsistency: a standby that lacks the WAL to be consistent answers nobody; it can be told all the same
// where to get it.
func TestFollowBeforeConsistency(t *testing.T) {
	p := primary(t)
	r := newInstance(t, newConfig(t, "node2"))
	must(t, r, r.Clone(t.Context(), cluster.Copy{From: address(p)}))
	segments, err := filepath.Glob(filepath.Join(r.config().DataDir, "pg_wal", "0*"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("the copy has no WAL: %v", err)
	}
	for _, s := range segments {
		must(t, r, os.Remove(s))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := r.StartReplica(ctx, cluster.Upstream{}); err == nil {
		t.Error("it accepts connections without that WAL")
	}
	if s := eventually(t, r, "rejecting", func(s cluster.Server) bool { return s.Rejecting }); s.Answered || !s.StandbySignal || s.Version < 130000 || s.Timeline != 1 {
		t.Errorf("not consistent: %+v", s)
	}
	must(t, r, r.Follow(t.Context(), address(p)))
	eventually(t, r, "streaming", func(s cluster.Server) bool { return s.Answered && s.ReceiverStatus == "streaming" })
}
