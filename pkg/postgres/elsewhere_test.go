package postgres

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestElsewhere: WAL and a tablespace lie outside of the data directory, which is a link itself. A bootstrap that fails
// moves all of it aside, and the next one finds its place empty; a copy has them elsewhere; and what a copy that was
// cut off has put there is not in the way of the next.
func TestElsewhere(t *testing.T) {
	cfg := newConfig(t, "node1")
	dir := filepath.Dir(cfg.DataDir)
	real, wal, space := filepath.Join(dir, "real"), filepath.Join(dir, "wal"), filepath.Join(dir, "space")
	i := newInstance(t, cfg)
	for _, d := range []string{real, space} {
		must(t, i, os.Mkdir(d, 0o700))
	}
	must(t, i, os.Symlink(real, cfg.DataDir))
	cfg.InitdbArgs = append(cfg.InitdbArgs, "--waldir="+wal)
	create := "psql -XAtc \"CREATE TABLESPACE far LOCATION '" + space + "'\" "
	cfg.PostBootstrap = script(t, cfg, create+"-d \"$1\"; exit 1")
	i = newInstance(t, cfg)
	if err := i.Bootstrap(t.Context(), nil); err == nil {
		t.Fatal("no error")
	}
	_, err := i.Stop(t.Context(), cluster.StopImmediate, false)
	must(t, i, err)
	must(t, i, i.MoveDataAside(t.Context()))
	filled(t, true, real+".failed", wal+".failed", space+".failed")
	filled(t, false, real, wal, space)
	if to, err := os.Readlink(filepath.Join(cfg.DataDir+".failed", "pg_wal")); err != nil || to != wal+".failed" {
		t.Errorf("what was moved aside has its WAL in %q, %v", to, err)
	}
	cfg.PostBootstrap = script(t, cfg, create+"-c 'CREATE TABLE public.a TABLESPACE far AS SELECT 1 AS b' -d \"$1\"")
	i = newInstance(t, cfg)
	must(t, i, i.Bootstrap(t.Context(), nil))
	if to, err := os.Readlink(cfg.DataDir); err != nil || to != real {
		t.Errorf("the data directory is no link any more: %q, %v", to, err)
	}

	own := newConfig(t, "node2")
	there := filepath.Dir(own.DataDir)
	slow := own.BasebackupArgs
	own.BasebackupArgs = append([]string{"--waldir=" + there + "/wal", "--tablespace-mapping=" + space + "=" + there + "/space"}, slow...)
	r := newInstance(t, own)
	r.cfg.BasebackupArgs = append([]string{"--max-rate=32k"}, own.BasebackupArgs...)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Clone(ctx, cluster.Copy{From: address(i)}) }()
	waitFor(t, "the copy to reach the tablespace", func() bool { left, _ := os.ReadDir(there + "/space"); return len(left) > 0 })
	mark, err := os.ReadFile(fillingMark(own.DataDir))
	must(t, r, err)
	cancel()
	<-done
	filled(t, false, own.DataDir, there+"/wal", there+"/space")
	// An agent that was killed could not clear anything away.
	must(t, r, os.WriteFile(fillingMark(own.DataDir), mark, 0o600))
	must(t, r, os.MkdirAll(there+"/space/PG_half", 0o700))
	r = newInstance(t, own)
	must(t, r, r.Clone(t.Context(), cluster.Copy{From: address(i)}))
	must(t, r, r.StartReplica(t.Context(), address(i)))
	eventually(t, r, "caught up", caughtUp(i))
	if got := sql(t, r, "SELECT b FROM public.a"); got != "1" {
		t.Errorf("in the tablespace: %q", got)
	}
	filled(t, true, there+"/wal", there+"/space")
}

// filled looks whether there is anything in directories, or nothing.
func filled(t *testing.T, want bool, dirs ...string) {
	t.Helper()
	for _, d := range dirs {
		if left, err := os.ReadDir(d); err != nil && !os.IsNotExist(err) || len(left) > 0 != want {
			t.Errorf("%s has %d entries, %v", d, len(left), err)
		}
	}
}
