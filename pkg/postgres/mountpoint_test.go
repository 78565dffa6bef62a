package postgres

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestRewindCutInMountPoint: beside the data directory nothing can be made, as with a mount point. What an interrupted
// pg_rewind leaves is not started all the same; and where nothing could tell of it, pg_rewind does not run.
func TestRewindCutInMountPoint(t *testing.T) {
	cfg := newConfig(t, "node1")
	parent := filepath.Join(filepath.Dir(cfg.DataDir), "foreign")
	cfg.DataDir = filepath.Join(parent, "data")
	mode := func(dir string, to os.FileMode) {
		t.Helper()
		if err := os.Chmod(dir, to); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(parent, 0o700) })
	p := primaryWith(t, cfg)
	r := promotedBeside(t, p)
	sql(t, p, `CREATE TABLE public.lost (n int)`)
	_, err := p.Stop(t.Context(), cluster.StopFast, true)
	must(t, p, err)
	ran := filepath.Join(filepath.Dir(parent), "ran")
	last := script(t, p.cfg, "touch "+ran+"\n"+p.cfg.program("pg_rewind")+" \"$@\"; exit 1") // after all that it removes
	path, err := filepath.Rel(p.cfg.BinDir, last)
	must(t, p, err)
	p.cfg.BinNames = map[string]string{"pg_rewind": path}
	mode(parent, 0o500)

	mode(cfg.DataDir, 0o500)
	err = p.Rewind(t.Context(), address(r))
	mode(cfg.DataDir, 0o700)
	if err == nil || !strings.Contains(err.Error(), "the data directory is as it was") || exists(ran) {
		t.Errorf("where no mark can be made: %v, has pg_rewind run: %v", err, exists(ran))
	}
	if s := p.Observe(t.Context()); s.RewindCut {
		t.Error("data that were not touched count as rewound")
	}
	if err := p.Rewind(t.Context(), address(r)); err == nil || !strings.Contains(err.Error(), "unusable now") || !exists(ran) {
		t.Errorf("interrupted: %v, has pg_rewind run: %v", err, exists(ran))
	}
	next := newInstance(t, cfg)
	if s := next.Observe(t.Context()); !s.RewindCut || s.Data != cluster.DataPresent {
		t.Errorf("after: %+v", s)
	}
	for what, call := range map[string]func() error{
		"start":  func() error { return next.StartReplica(t.Context(), address(r)) },
		"rewind": func() error { return next.Rewind(t.Context(), address(r)) },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), "run hathi reinit test node1") {
			t.Errorf("%s: %v", what, err)
		}
	}
	must(t, next, next.Clone(t.Context(), cluster.Copy{From: address(r), Replace: true}))
	must(t, next, next.StartReplica(t.Context(), address(r)))
	if s := eventually(t, next, "caught up", caughtUp(r)); s.RewindCut {
		t.Errorf("the mark outlived the data: %+v", s)
	}
}

// TestMarkIsRemovedForGood: a removal is not over before it is on disk, which shows where the directory can't be opened
// to be synced.
func TestMarkIsRemovedForGood(t *testing.T) {
	dir := t.TempDir()
	mark := foundingMark(filepath.Join(dir, "data"))
	if err := setMark(mark); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o300); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Chmod(dir, 0o700) }()
	if err := clearMark(mark); err == nil || exists(mark) {
		t.Errorf("got %v; is the mark there: %v", err, exists(mark))
	}
	if err := clearMark(mark); err != nil {
		t.Errorf("without a mark: %v", err)
	}
}
