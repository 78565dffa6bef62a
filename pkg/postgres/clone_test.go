package postgres

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/process"
)

// TestCloneByMethods: the ways to create a replica are tried in their order, each with its arguments.
func TestCloneByMethods(t *testing.T) {
	p := primary(t)
	cfg := newConfig(t, "node2")
	said := filepath.Join(filepath.Dir(cfg.DataDir), "said")
	tell := "echo \"$0 $@\" >> " + said + "\n"
	cfg.ReplicaMethods = []Method{
		{Name: "broken", Command: script(t, cfg, tell+"mkdir "+cfg.DataDir+"; echo x > "+cfg.DataDir+"/half; exit 1"), Args: []string{"--level=9"}},
		{Name: "missing", Command: "/no/such/program"},
		{Name: "quiet", Command: script(t, cfg, tell+"test ! -e "+cfg.DataDir+"/half"), NoParams: true, Args: []string{"--stanza=x y"}},
		{Name: "copy", Command: script(t, cfg, tell+`for a; do case $a in --connstring=*) c=${a#*=};; esac; done
test -f "$PGPASSFILE"; test -z "$PATRONI_SUPERUSER_PASSWORD"
`+cfg.program("pg_basebackup")+" -D "+cfg.DataDir+" -X stream -c fast --no-password -d \"$c\"")},
		{Name: "never", Command: script(t, cfg, tell)},
	}
	t.Setenv("PATRONI_SUPERUSER_PASSWORD", "x")
	r := newInstance(t, cfg)
	must(t, p, os.WriteFile(filepath.Join(p.cfg.DataDir, copiedFile), []byte("of the source"), 0o600))
	must(t, r, r.Clone(t.Context(), cluster.Copy{From: address(p)}))
	if mark, _ := os.ReadFile(filepath.Join(cfg.DataDir, copiedFile)); string(mark) != copiedText {
		t.Errorf("the copy is marked %q", mark)
	}
	must(t, r, r.StartReplica(t.Context(), address(p)))
	eventually(t, r, "caught up", caughtUp(p))
	b, _ := os.ReadFile(said)
	rest := " --scope=test --role=replica --datadir=" + cfg.DataDir + " --connstring=dbname=postgres user=replicator host=127.0.0.1 port=" + portText(p.cfg.Port)
	want := []string{
		cfg.ReplicaMethods[0].Command + " --level=9" + rest,
		cfg.ReplicaMethods[2].Command + " --stanza=x y", // it has left nothing, so the next one is tried
		cfg.ReplicaMethods[3].Command + rest,
	}
	if got := strings.TrimSpace(string(b)); got != strings.Join(want, "\n") {
		t.Errorf("called\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// TestCloneOfAnotherCluster: the address leads to another cluster. That is seen before the data go, and before any come.
func TestCloneOfAnotherCluster(t *testing.T) {
	p := primary(t)
	ours := p.Observe(t.Context()).SystemID
	r := replicaOf(t, p, "node2")
	_, err := r.Stop(t.Context(), cluster.StopFast, false)
	must(t, r, err)
	other := newInstance(t, newConfig(t, "node3"))
	must(t, other, other.Bootstrap(t.Context(), nil))
	id := other.Observe(t.Context()).SystemID
	for _, i := range []*Instance{r, newInstance(t, newConfig(t, "node4"))} {
		before := i.Observe(t.Context()).SystemID
		err := i.Clone(t.Context(), cluster.Copy{From: address(other), SystemID: ours, Replace: i == r})
		if err == nil || !strings.Contains(err.Error(), id) || !strings.Contains(err.Error(), ours) || !strings.Contains(err.Error(), "node3") {
			t.Errorf("got %v", err)
		}
		if got := i.Observe(t.Context()).SystemID; got != before {
			t.Errorf("the data were of %q, and are of %q", before, got)
		}
	}
	must(t, r, r.Clone(t.Context(), cluster.Copy{From: address(p), SystemID: ours, Replace: true}))
}

// TestCloneKeepsData: a method with keep_data works on what is there, and a failure of it costs nothing.
func TestCloneKeepsData(t *testing.T) {
	p := primary(t)
	r := replicaOf(t, p, "node2")
	_, err := r.Stop(t.Context(), cluster.StopFast, false)
	must(t, r, err)
	cfg := r.config()
	fail := filepath.Join(filepath.Dir(cfg.DataDir), "fail")
	cfg.ReplicaMethods = []Method{{
		Name: "delta", NoParams: true, KeepData: true,
		Command: script(t, cfg, "test -e "+cfg.DataDir+"/global/pg_control; test ! -e "+fail+"; touch "+cfg.DataDir+"/worked"),
	}}
	if err := os.WriteFile(fail, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = r.Reconfigure(t.Context(), cfg)
	must(t, r, err)
	again := cluster.Copy{From: address(p), Replace: true}
	if err := r.Clone(t.Context(), again); err == nil || !exists(cfg.DataDir, "global", "pg_control") {
		t.Fatalf("a failing delta: %v; is the data there: %v", err, exists(cfg.DataDir, "global", "pg_control"))
	}
	if s := r.Observe(t.Context()); s.Data != cluster.DataEmpty {
		t.Errorf("half a copy counts as data: %+v", s)
	}
	// An agent that knows nothing of that does not start it, and does not remove it.
	if err := newInstance(t, cfg).StartReplica(t.Context(), address(p)); err == nil {
		t.Error("half a copy was started")
	}
	if err := os.Remove(fail); err != nil {
		t.Fatal(err)
	}
	again.Replace = false // the next turn takes the directory for empty
	must(t, r, r.Clone(t.Context(), again))
	if !exists(cfg.DataDir, "worked") {
		t.Error("the method has not worked on the data")
	}
	must(t, r, r.StartReplica(t.Context(), address(p)))
	eventually(t, r, "caught up", caughtUp(p))
}

// TestCloneWithoutLeader: only methods that say so work while nobody leads.
func TestCloneWithoutLeader(t *testing.T) {
	p, archive, backup, _ := archived(t)
	cfg := newConfig(t, "node2")
	cfg.Recovery = []Parameter{{"restore_command", "cp " + archive + "/%f %p"}}
	cfg.ReplicaMethods = []Method{{Name: "needs one", Command: "false"}}
	r := newInstance(t, cfg)
	if err := r.Clone(t.Context(), cluster.Copy{}); err == nil || !strings.Contains(err.Error(), "no_leader") {
		t.Errorf("got %v", err)
	}
	cfg.ReplicaMethods = append(cfg.ReplicaMethods, Method{Name: "archive", NoLeader: true, Command: script(t, cfg, "cp -a "+backup+" "+cfg.DataDir)})
	_, err := r.Reconfigure(t.Context(), cfg)
	must(t, r, err)
	must(t, r, r.Clone(t.Context(), cluster.Copy{}))
	must(t, r, r.StartReplica(t.Context(), cluster.Upstream{}))
	eventually(t, r, "the archive's end", func(s cluster.Server) bool { return s.Answered && s.InRecovery && s.Copied })
	must(t, r, r.TrustCopy(t.Context()))
	must(t, r, r.TrustCopy(t.Context())) // another agent has done it
	if s := newInstance(t, cfg).Observe(t.Context()); !s.Answered || s.Copied {
		t.Errorf("trusted, and %+v", s)
	}
	waitFor(t, "all rows", func() bool { return sql(t, r, "SELECT count(*) FROM public.rows") == "2" })
	must(t, r, r.Promote(t.Context()))
	if s := r.Observe(t.Context()); s.SystemID != p.Observe(t.Context()).SystemID || s.Timeline != 2 {
		t.Errorf("after: %+v", s)
	}
}

// TestCopiedUnknown: data that can't be looked at may be a copy.
func TestCopiedUnknown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]bool{file: true, filepath.Dir(file): false, file + ".missing": false} {
		if got := isCopied(dir); got != want {
			t.Errorf("%s: %v", dir, got)
		}
	}
}

// TestCommandsEndWithTheirContext: a cancelled command ends with all that it has started.
func TestCommandsEndWithTheirContext(t *testing.T) {
	p := primary(t)
	cfg := newConfig(t, "node2")
	begun := filepath.Join(filepath.Dir(cfg.DataDir), "begun")
	cfg.ReplicaMethods = []Method{{Name: "slow", Command: script(t, cfg, "sleep 1000 & echo $! > "+begun+"; wait")}}
	r := newInstance(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Clone(ctx, cluster.Copy{From: address(p)}) }()
	waitFor(t, "the method", func() bool { b, _ := os.ReadFile(begun); return len(b) > 1 })
	cancel()
	select {
	case err := <-done:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it goes on")
	}
	b, _ := os.ReadFile(begun)
	waitFor(t, "the end of its child", func() bool { _, err := os.Stat("/proc/" + strings.TrimSpace(string(b))); return err != nil })
	if s := r.Observe(t.Context()); s.Data != cluster.DataEmpty || exists(fillingMark(cfg.DataDir)) {
		t.Errorf("after: %+v", s)
	}
}

// TestCopyOfDeadAgent: the agent is killed while a method copies, and what the method has started itself lives on. It
// must not write beside the next copy.
func TestCopyOfDeadAgent(t *testing.T) {
	p := primary(t)
	cfg := newConfig(t, "node2")
	begun := filepath.Join(filepath.Dir(cfg.DataDir), "begun")
	dying := cfg
	dying.ReplicaMethods = []Method{{Name: "dying", Command: script(t, cfg, "sleep 1000 & echo $! > "+begun+"; kill -9 $PPID; wait")}}
	if killed, log, _ := (errand{Config: dying, Op: "clone", From: address(p)}).do(t); !killed {
		t.Fatalf("the agent lives:\n%s", log)
	}
	b, _ := os.ReadFile(begun)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	child, err := process.Open(pid)
	if err != nil {
		t.Fatalf("the copy that is to be ended is not there: %v", err)
	}
	defer child.Close()
	defer func() { _ = child.Signal(syscall.SIGKILL) }() // if the test fails
	if err := newInstance(t, cfg).Clone(t.Context(), cluster.Copy{From: address(p)}); err != nil {
		t.Error(err)
	}
	if child.Alive() {
		t.Error("it writes beside the next copy")
	}
}
