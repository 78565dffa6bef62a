package postgres

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// telling gives a configuration whose callbacks write what they are told into a file.
func telling(t *testing.T, name string) (cfg Config, told func(want string)) {
	t.Helper()
	cfg = newConfig(t, name)
	out := filepath.Join(filepath.Dir(cfg.DataDir), "calls")
	body := script(t, cfg, "echo $* >> "+out)
	cfg.Callbacks = map[string]string{}
	for _, action := range []string{onStart, onStop, onRestart, onReload, onRoleChange} {
		cfg.Callbacks[action] = body
	}
	seen := 0
	return cfg, func(want string) {
		t.Helper()
		var lines []string
		waitFor(t, want, func() bool {
			b, _ := os.ReadFile(out)
			lines = strings.Split(strings.TrimSpace(string(b)), "\n")
			return len(b) > 0 && len(lines) > seen
		})
		if lines[seen] != want {
			t.Errorf("callback number %d was %q, want %q", seen+1, lines[seen], want)
		}
		seen++
	}
}

// TestCallbacks follows two servers through a switchover: what is called, and as what.
func TestCallbacks(t *testing.T) {
	cfg, told := telling(t, "node1")
	p := newInstance(t, cfg)
	must(t, p, p.Bootstrap(t.Context(), nil))
	told("on_start primary test")
	cfg2, told2 := telling(t, "node2")
	r := newInstance(t, cfg2)
	must(t, r, r.Clone(t.Context(), cluster.Copy{From: address(p)}))
	must(t, r, r.StartReplica(t.Context(), address(p)))
	told2("on_start replica test")

	must(t, p, p.Restart(t.Context(), 0, nil))
	told("on_restart primary test")
	_, err := p.Reconfigure(t.Context(), with(cfg, Parameter{"work_mem", "5MB"}))
	must(t, p, err)
	told("on_reload primary test")

	eventually(t, p, "streaming again", func(s cluster.Server) bool { return len(s.Senders) == 1 && s.Senders[0].State == "streaming" })
	lsn, err := p.Stop(t.Context(), cluster.StopFast, true)
	must(t, p, err)
	eventually(t, r, "the shutdown record", func(s cluster.Server) bool { return s.Position() > lsn })
	told("on_stop demoted test")
	must(t, r, r.Promote(t.Context()))
	told2("on_role_change primary test")
	must(t, p, p.StartReplica(t.Context(), address(r)))
	told("on_role_change replica test")
	must(t, p, p.Restart(t.Context(), 0, nil))
	told("on_restart replica test")
	far := address(r)
	far.Member = "" // a server outside of the cluster
	must(t, p, p.Follow(t.Context(), far))
	told("on_role_change standby_leader test")
	must(t, p, p.Follow(t.Context(), address(r)))
	told("on_role_change replica test")

	// The lock is lost: there is no time to be demoted first.
	_, err = r.Stop(t.Context(), cluster.StopImmediate, false)
	must(t, r, err)
	told2("on_stop primary test")
	i := newInstance(t, cfg)
	i.Observe(t.Context()) // another agent finds the server running
	told("on_start replica test")
}

// TestCallbackKillsTheOneBefore: nothing waits for a callback that hangs, and on_reload has a place of its own.
func TestCallbackKillsTheOneBefore(t *testing.T) {
	cfg := newConfig(t, "node1")
	dir := filepath.Dir(cfg.DataDir)
	hang := script(t, cfg, "trap '' TERM; echo $$ > "+dir+"/pid-$1; sleep 1000 & wait; wait")
	cfg.Callbacks = map[string]string{onStart: hang, onReload: hang, onStop: script(t, cfg, "touch "+dir+"/stopped")}
	i := newInstance(t, cfg)
	must(t, i, i.Bootstrap(t.Context(), nil))
	alive := func(action string) bool {
		b, err := os.ReadFile(filepath.Join(dir, "pid-"+action))
		if err != nil || len(b) == 0 {
			return false
		}
		_, err = os.Stat("/proc/" + strings.TrimSpace(string(b)))
		return err == nil
	}
	waitFor(t, "on_start", func() bool { return alive(onStart) })
	_, err := i.Reconfigure(t.Context(), with(cfg, Parameter{"work_mem", "5MB"}))
	must(t, i, err)
	waitFor(t, "on_reload", func() bool { return alive(onReload) })
	if !alive(onStart) {
		t.Error("on_reload has ended on_start")
	}
	_, err = i.Stop(t.Context(), cluster.StopFast, false)
	must(t, i, err)
	waitFor(t, "on_stop", func() bool { return exists(dir, "stopped") })
	waitFor(t, "the end of on_start", func() bool { return !alive(onStart) })
	i.callbacks.place[true].cancel()
	waitFor(t, "the end of on_reload", func() bool { return !alive(onReload) })
}

func TestPrePromote(t *testing.T) {
	p := primary(t)
	r := replicaOf(t, p, "node2")
	r.cfg.PrePromote = "sh -c 'exit 7'"
	if err := r.Promote(t.Context()); !errors.Is(err, cluster.ErrPromotionRefused) || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("refused: %v", err)
	}
	if s := r.Observe(t.Context()); !s.InRecovery {
		t.Errorf("promoted all the same: %+v", s)
	}
	// A lock that is lost meanwhile is no refusal, and ends the script.
	r.cfg.PrePromote = "sleep 1000"
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := r.Promote(ctx); err == nil || errors.Is(err, cluster.ErrPromotionRefused) {
		t.Errorf("cancelled: %v", err)
	}
	r.cfg.PrePromote = "sh -c 'sleep 5 >/dev/null & exit 0'" // what it leaves running does not count
	must(t, r, r.Promote(t.Context()))
}

// TestBeforeStop: it runs while the server serves, and has no more time than the stop.
func TestBeforeStop(t *testing.T) {
	i := primary(t)
	out := filepath.Join(filepath.Dir(i.cfg.DataDir), "before")
	i.cfg.BeforeStop = "psql -XAtc 'SELECT 1' -o " + out + " 'host=127.0.0.1 user=postgres dbname=postgres port=" + portText(i.cfg.Port) + "'"
	t.Setenv("PGPASSWORD", string(i.cfg.Superuser.Password))
	_, err := i.Stop(t.Context(), cluster.StopFast, false)
	must(t, i, err)
	if b, err := os.ReadFile(out); err != nil || string(b) != "1\n" {
		t.Errorf("before_stop got %q, %v", b, err)
	}
	must(t, i, i.StartPrimary(t.Context(), 0, nil))
	i.cfg.BeforeStop = "sh -c 'trap : TERM; while :; do sleep 1; done'"
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err = i.Stop(ctx, cluster.StopFast, false)
	must(t, i, err)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the stop took %s", took)
	}
}
