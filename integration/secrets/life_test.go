package secrets

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

const enough = time.Minute

// lifeSecrets are those of the cluster's file, and one from the environment.
var lifeSecrets = []string{"secret-super", "secret-repl", "secret-rewind"}

// TestPasswordsThroughALife: a cluster is founded, copied, breaks, is mended, fails over and is copied anew; all the while no process
// shows a password in its title, none but hathi itself has one in its environment, and no log or key has one at the end.
func TestPasswordsThroughALife(t *testing.T) {
	t.Setenv("PATRONI_REWIND_USERNAME", "rewinder")
	t.Setenv("PATRONI_REWIND_PASSWORD", "secret-rewind")
	c := testcluster.Prepare(t, testcluster.Options{
		Nodes: 2, TTL: 5, LoopWait: 1, Retry: 1,
		DCS:      "    log_statement: all\n    log_min_duration_statement: 0",
		Postgres: "callbacks: {on_start: env, on_role_change: env}\nbefore_stop: env",
	})
	w := watch(c.Dir)
	defer w.stop()
	for _, n := range c.Nodes {
		n.Run()
	}
	old := c.WaitHealthy(90 * time.Second)
	refuses(c, old)
	leader := c.WaitHealthy(enough)
	c.Hathi("reinit", c.Scope, c.Replicas(leader)[0].Name, "--force", "--wait")
	c.WaitHealthy(enough)
	c.Hathi("switchover", c.Scope, "--force")
	c.WaitHealthy(enough)

	if seen := w.stop(); seen < 20 {
		t.Errorf("only %d processes were looked at", seen)
	}
	for _, f := range w.found {
		t.Error(f)
	}
	for _, n := range c.Nodes {
		lookAt(t, n.Name+"'s log", n.Log())
		_, state := n.Get("/patroni")
		lookAt(t, "GET /patroni", state)
		_, cluster := n.Get("/cluster")
		lookAt(t, "GET /cluster", cluster)
		_, document := n.Get("/config")
		lookAt(t, "GET /config", document)
		settings, err := n.SQL(`SELECT string_agg(name || '=' || setting, ' ') FROM pg_settings`)
		if err != nil {
			t.Fatal(err)
		}
		lookAt(t, "pg_settings of "+n.Name, settings)
		readable(t, n)
	}
	for _, m := range c.View().Members {
		lookAt(t, "the key of "+m.Name, fmt.Sprintf("%+v", m))
	}
	lookAt(t, "hathi list", c.Hathi("list"))
	lookAt(t, "hathi explain", c.Hathi("explain"))
}

// refuses: the primary's server ends, and does not start again because somebody has spoilt its file. Another takes over;
// the log says what is wrong, where and what to do; once that is done the server is back by itself.
func refuses(c *testcluster.Cluster, old *testcluster.Node) {
	c.T.Helper()
	base := filepath.Join(old.Data, "postgresql.base.conf")
	good, err := os.ReadFile(base)
	if err != nil {
		c.T.Fatal(err)
	}
	write := func(content []byte) {
		c.T.Helper()
		if err := os.WriteFile(base, content, 0o600); err != nil { // the file stays its owner's
			c.T.Fatal(err)
		}
	}
	write(append(slices.Clone(good), "\nwork_mem = banana\n"...))
	testcluster.Kill(old.Postmaster())
	c.WaitFor(enough, "another leader", func() bool { l := c.View().Leader.Name; return l != "" && l != old.Name })
	c.WaitFor(enough, "the reason in the log", func() bool {
		return strings.Contains(old.Log(), `invalid value for parameter "work_mem": "banana"`) &&
			strings.Contains(old.Log(), "postgresql.base.conf") && strings.Contains(old.Log(), "started again by itself")
	})
	write(good)
	c.WaitHealthy(enough)
}

func lookAt(t *testing.T, what, text string) {
	t.Helper()
	for _, p := range lifeSecrets {
		if at := strings.Index(text, p); at >= 0 {
			t.Errorf("%s tells %s: ...%s", what, p, text[max(0, at-200):at])
		}
	}
}

// readable looks for files with passwords in the node's directory that others can read. Its configuration file is the
// user's own matter.
func readable(t *testing.T, n *testcluster.Node) {
	t.Helper()
	err := filepath.WalkDir(n.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || path == n.Config {
			return nil // files come and go
		}
		info, err := d.Info()
		if err != nil || info.Mode().Perm()&0o077 == 0 && filepath.Base(path) == "pgpass" || info.Size() > 1<<20 {
			return nil // the one file that is for passwords, or one of those with the users' rows
		}
		content, _ := os.ReadFile(path)
		lookAt(t, path+" "+info.Mode().String(), string(content))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// watcher looks at the processes of a cluster, again and again.
type watcher struct {
	end   chan struct{}
	once  sync.Once
	done  sync.WaitGroup
	found []string
	seen  map[string]bool
}

// watch begins; the processes of a cluster are known by its directory in their environment.
func watch(dir string) *watcher {
	w := &watcher{end: make(chan struct{}), seen: map[string]bool{}}
	w.done.Go(func() {
		for {
			select {
			case <-w.end:
				return
			case <-time.After(10 * time.Millisecond): // nothing tells of a new process
				w.look(dir)
			}
		}
	})
	return w
}

func (w *watcher) stop() (seen int) {
	w.once.Do(func() { close(w.end) })
	w.done.Wait()
	return len(w.seen)
}

func (w *watcher) look(dir string) {
	list, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range list {
		env, _ := os.ReadFile(p + "/environ") // it may have ended
		title, _ := os.ReadFile(p + "/cmdline")
		if !bytes.Contains(env, []byte(dir)) {
			continue
		}
		// A child that has become another program between the two reads has shown one of hathi and one of its own.
		same := func() bool {
			now, _ := os.ReadFile(p + "/environ")
			called, _ := os.ReadFile(p + "/cmdline")
			return bytes.Equal(now, env) && bytes.Equal(called, title)
		}
		program, _, _ := strings.Cut(string(title), "\x00")
		w.seen[filepath.Base(p)] = true
		for _, secret := range lifeSecrets {
			if bytes.Contains(title, []byte(secret)) && same() {
				w.note("the title of a process tells " + secret + ": " + strings.ReplaceAll(string(title), "\x00", " "))
			}
			if bytes.Contains(env, []byte(secret)) && filepath.Base(program) != "hathi" && same() {
				w.note("the environment of " + program + " has " + secret)
			}
		}
	}
}

func (w *watcher) note(what string) {
	if !slices.Contains(w.found, what) {
		w.found = append(w.found, what)
	}
}
