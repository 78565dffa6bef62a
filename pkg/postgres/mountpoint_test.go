package postgres

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// foreignParent gives a configuration whose data directory lies in one that the test can take away its own permission of.
func foreignParent(t *testing.T, name string) (cfg Config, parent string) {
	t.Helper()
	cfg = newConfig(t, name)
	parent = filepath.Join(filepath.Dir(cfg.DataDir), "foreign")
	cfg.DataDir = filepath.Join(parent, "data")
	if err := os.Mkdir(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chmod(t, parent, 0o700) })
	return cfg, parent
}

func chmod(t *testing.T, path string, to os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, to); err != nil {
		t.Fatal(err)
	}
}

// TestRewindCutInMountPoint: beside the data directory nothing can be made, as with a mount point. What an interrupted
// pg_rewind leaves is not started all the same; and where nothing could tell of it, pg_rewind does not run.
func TestRewindCutInMountPoint(t *testing.T) {
	cfg, parent := foreignParent(t, "node1")
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
	chmod(t, parent, 0o500)

	chmod(t, cfg.DataDir, 0o500)
	err = p.Rewind(t.Context(), address(r))
	chmod(t, cfg.DataDir, 0o700)
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
	chmod(t, dir, 0o300)
	defer chmod(t, dir, 0o700)
	if err := clearMark(mark); err == nil || exists(mark) {
		t.Errorf("got %v; is the mark there: %v", err, exists(mark))
	}
	if err := clearMark(mark); err != nil {
		t.Errorf("without a mark: %v", err)
	}
}

// TestCopyCutInMountPoint: an agent is killed when all that it copies into a mount point is there, but is neither known to
// be on disk nor marked as a copy. The next one does not start it; and it clears away what holds no database yet.
func TestCopyCutInMountPoint(t *testing.T) {
	p := primary(t)
	cfg, parent := foreignParent(t, "node2")
	if err := os.Mkdir(cfg.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	next := newInstance(t, cfg)
	marked := "for n in $(seq 1000); do test -e " + fillingPipe(cfg.DataDir) + " && break; sleep 0.01; done; kill -9 $PPID"
	die := func(method string) {
		t.Helper()
		dying := cfg
		dying.ReplicaMethods = []Method{{Name: "dying", Command: script(t, p.cfg, method+"\n"+marked)}}
		if killed, log, _ := (errand{Config: dying, Op: "clone", From: address(p)}).do(t); !killed {
			t.Fatalf("the agent lives:\n%s", log)
		}
	}
	chmod(t, parent, 0o500)
	die("touch " + cfg.DataDir + "/half")
	if s := next.Observe(t.Context()); s.Data != cluster.DataEmpty {
		t.Errorf("after the first: %+v", s)
	}
	die("for a; do case $a in --connstring=*) c=${a#*=};; esac; done\n" + cfg.program("pg_basebackup") +
		" -D " + cfg.DataDir + ` -X stream -c fast --no-password -d "$c"`)
	if s := next.Observe(t.Context()); s.Data != cluster.DataPresent {
		t.Errorf("after the second: %+v", s)
	}
	err := again(t, func() error { return next.StartReplica(t.Context(), address(p)) })
	if err == nil || !strings.Contains(err.Error(), "run hathi reinit test node2") {
		t.Errorf("half a copy was started: %v", err)
	}
	if _, err := next.Stop(t.Context(), cluster.StopImmediate, false); err != nil {
		t.Fatal(err)
	}
	must(t, next, next.Clone(t.Context(), cluster.Copy{From: address(p), Replace: true}))
	must(t, next, next.StartReplica(t.Context(), address(p)))
	eventually(t, next, "caught up", caughtUp(p))
}

// TestRemovalCutInMountPoint: the data are removed in part only, for a new copy. Who starts what is left hears what to do.
func TestRemovalCutInMountPoint(t *testing.T) {
	p := primary(t)
	cfg, parent := foreignParent(t, "node2")
	r := newInstance(t, cfg)
	must(t, r, r.Clone(t.Context(), cluster.Copy{From: address(p)}))
	chmod(t, parent, 0o500)
	chmod(t, filepath.Join(cfg.DataDir, "global"), 0o500)
	if err := r.Clone(t.Context(), cluster.Copy{From: address(p), Replace: true}); err == nil {
		t.Error("what can't be removed was")
	}
	chmod(t, filepath.Join(cfg.DataDir, "global"), 0o700)
	next := newInstance(t, cfg)
	if err := next.StartReplica(t.Context(), address(p)); err == nil || !strings.Contains(err.Error(), "run hathi reinit test node2") {
		t.Errorf("what was left was started: %v", err)
	}
	must(t, next, next.Clone(t.Context(), cluster.Copy{From: address(p), Replace: true}))
	must(t, next, next.StartReplica(t.Context(), address(p)))
}
