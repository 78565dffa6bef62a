package postgres

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// script writes a program for a method and gives its path.
func script(t *testing.T, cfg Config, body string) string {
	t.Helper()
	f, err := os.CreateTemp(filepath.Dir(cfg.DataDir), "script-")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("#!/bin/sh\nset -e\n" + body + "\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Chmod(0o755); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// archived gives a stopped primary that has archived all of its WAL, with a backup of its beginning, and the
// time between its two rows.
func archived(t *testing.T) (p *Instance, archive, backup, between string) {
	t.Helper()
	cfg := newConfig(t, "node1")
	dir := filepath.Dir(cfg.DataDir)
	archive, backup = filepath.Join(dir, "archive"), filepath.Join(dir, "backup")
	if err := os.Mkdir(archive, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg.Parameters = append(cfg.Parameters, Parameter{"archive_mode", "on"}, Parameter{"archive_command", "cp %p " + archive + "/%f"})
	p = primaryWith(t, cfg)
	sql(t, p, "CREATE TABLE public.rows (n int)")
	sql(t, p, "CREATE ROLE of_before SUPERUSER LOGIN")
	_, err := p.run(t.Context(), command{
		path: cfg.program("pg_basebackup"), args: []string{"-D", backup, "-c", "fast", "-X", "none", "-h", dir, "-p", portText(cfg.Port), "-U", "postgres"},
		env: []string{"PGPASSWORD=" + string(cfg.Superuser.Password)},
	})
	must(t, p, err)
	sql(t, p, "INSERT INTO public.rows VALUES (1)")
	between = sql(t, p, "SELECT clock_timestamp()")
	sql(t, p, "SELECT pg_sleep(0.01)")
	sql(t, p, "INSERT INTO public.rows VALUES (2)")
	sql(t, p, "SELECT pg_switch_wal()")
	_, err = p.Stop(t.Context(), cluster.StopFast, false)
	must(t, p, err)
	return p, archive, backup, between
}

// TestFoundFromBackup: a cluster is founded with the data of another, up to a point in time. The limits of the
// old server were higher, and nobody knows its passwords.
func TestFoundFromBackup(t *testing.T) {
	_, archive, backup, between := archived(t)
	cfg := with(newConfig(t, "new1"), Parameter{"max_connections", "30"})
	cfg.Superuser.Password, cfg.Replication.Password = "new super", "new replication"
	said := filepath.Join(filepath.Dir(cfg.DataDir), "said")
	cfg.BootstrapMethod = Method{
		Name: "restore", Args: []string{"--backup=" + backup, "--flag=True"},
		RecoveryConf: []Parameter{
			{"restore_command", "cp " + archive + "/%f %p"},
			{"recovery_target_time", between},
			{"recovery_target_action", "promote"},
		},
	}
	cfg.BootstrapMethod.Command = script(t, cfg, "echo \"$@\" > "+said+"\ncp -a "+backup+" "+cfg.DataDir+"\necho '{\"ttl\": 99}' > "+cfg.DataDir+"/patroni.dynamic.json")
	cfg.PostBootstrap = "psql -XAtc 'INSERT INTO rows VALUES (10)' -d"
	i := newInstance(t, cfg)
	var asked []int
	must(t, i, i.Bootstrap(t.Context(), func(_ context.Context, pid int, _ uint64) error {
		asked = append(asked, pid)
		return nil
	}))
	if got := sql(t, i, "SELECT string_agg(n::text, ',' ORDER BY n) FROM public.rows"); got != "1,10" {
		t.Errorf("rows %s", got)
	}
	if pid := i.Observe(t.Context()).PostmasterPID; len(asked) != 2 || asked[0] == pid || asked[1] != pid {
		t.Errorf("the guard was asked about %v, want the server that recovers, and postmaster %d", asked, pid)
	}
	b, _ := os.ReadFile(said)
	if want := "--scope=test --datadir=" + cfg.DataDir + " --backup=" + backup + " --flag=True\n"; string(b) != want {
		t.Errorf("called with %q, want %q", b, want)
	}
	s := i.Observe(t.Context())
	if !s.IsPrimary() || s.Timeline != 2 || s.StandbySignal || len(s.PendingRestart) != 0 || s.State != cluster.StateRunning {
		t.Errorf("after: %+v", s)
	}
	if got := sql(t, i, "SELECT current_setting('max_connections'), current_setting('hot_standby'), current_setting('recovery_target_time')"); got != "30|on|" {
		t.Errorf("settings %s", got)
	}
	for _, rest := range []string{"pg_hba.bootstrap.conf", "patroni.dynamic.json", "recovery.signal"} {
		if exists(cfg.DataDir, rest) {
			t.Errorf("%s was left behind", rest)
		}
	}
	// The doors are closed again, and the new passwords open them.
	wrong := i.local("test", 0)
	wrong.cred.Password = "wrong"
	if _, err := wrong.query(t.Context(), "SELECT 1"); err == nil {
		t.Error("a wrong password is let in")
	}
	r := newInstance(t, func() Config {
		c := newConfig(t, "new2")
		c.Superuser, c.Replication = cfg.Superuser, cfg.Replication
		return c
	}())
	must(t, r, r.Clone(t.Context(), cluster.Copy{From: address(i)}))
	must(t, r, r.StartReplica(t.Context(), address(i)))
	eventually(t, r, "caught up", caughtUp(i))
}

// TestFoundKeepsRecovery: the method itself has said what to recover.
func TestFoundKeepsRecovery(t *testing.T) {
	_, archive, backup, _ := archived(t)
	cfg := newConfig(t, "new1")
	cfg.BootstrapMethod = Method{Name: "restore", NoParams: true, KeepRecoveryConf: true}
	cfg.BootstrapMethod.Command = script(t, cfg, "[ $# = 0 ]\ncp -a "+backup+" "+cfg.DataDir+"\ntouch "+cfg.DataDir+"/recovery.signal\n"+
		"echo \"restore_command = 'cp "+archive+"/%f %p'\" >> "+cfg.DataDir+"/postgresql.auto.conf")
	i := newInstance(t, cfg)
	must(t, i, i.Bootstrap(t.Context(), nil))
	if got := sql(t, i, "SELECT string_agg(n::text, ',' ORDER BY n) FROM public.rows"); got != "1,2" {
		t.Errorf("rows %s", got)
	}
	if b, _ := os.ReadFile(filepath.Join(cfg.DataDir, "postgresql.auto.conf")); strings.Contains(string(b), "restore_command") {
		t.Errorf("the recovery settings of the method outlive the recovery:\n%s", b)
	}
}

// TestFoundByMethodFails: nothing half-made is taken for a database, and what there is is kept for inspection.
func TestFoundByMethodFails(t *testing.T) {
	for what, body := range map[string]string{
		"an error":         "mkdir -p %; echo x > %/half; exit 3",
		"nothing restored": "mkdir -p %; echo x > %/half",
	} {
		t.Run(what, func(t *testing.T) {
			cfg := newConfig(t, "new1")
			cfg.BootstrapMethod = Method{Name: "restore"}
			cfg.BootstrapMethod.Command = script(t, cfg, strings.ReplaceAll(body, "%", cfg.DataDir))
			i := newInstance(t, cfg)
			if err := i.Bootstrap(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "method restore") {
				t.Errorf("got %v", err)
			}
			if s := i.Observe(t.Context()); s.State != cluster.StateCustomBootstrapFailed || s.Process != cluster.ProcessNone {
				t.Errorf("after: %+v", s)
			}
			must(t, i, i.MoveDataAside(t.Context()))
			if !exists(cfg.DataDir+".failed", "half") || exists(foundingMark(cfg.DataDir)) {
				t.Error("what was restored is not kept, or the mark is")
			}
		})
	}
}

// TestFoundWhereNothingCanBeRenamed: the directory of the data directory is not ours, as with a mount point. A
// failed attempt must not be in the way of the next.
func TestFoundWhereNothingCanBeRenamed(t *testing.T) {
	cfg := newConfig(t, "new1")
	parent := filepath.Join(filepath.Dir(cfg.DataDir), "foreign")
	cfg.DataDir = filepath.Join(parent, "data")
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(parent, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(parent, 0o700) })
	cfg.PostBootstrap = "false"
	i := newInstance(t, cfg)
	if err := i.Bootstrap(t.Context(), nil); err == nil {
		t.Fatal("no error")
	}
	_, err := i.Stop(t.Context(), cluster.StopImmediate, false)
	must(t, i, err)
	must(t, i, i.MoveDataAside(t.Context()))
	i.cfg.PostBootstrap = ""
	must(t, i, i.Bootstrap(t.Context(), nil))
	// What is in use is never emptied.
	_, err = i.Stop(t.Context(), cluster.StopFast, false)
	must(t, i, err)
	if err := i.MoveDataAside(t.Context()); err == nil || !exists(cfg.DataDir, "global", "pg_control") {
		t.Errorf("a database in use was moved or removed: %v", err)
	}
}

// TestInterruptedBootstrap: the agent is killed while it founds a cluster. Its successor takes the rest for
// nothing, moves it aside, with the server that runs on it, and begins anew.
func TestInterruptedBootstrap(t *testing.T) {
	p := primary(t) // as far as the first agent came
	must(t, p, setMark(foundingMark(p.cfg.DataDir)))
	next := newInstance(t, p.cfg)
	if s := next.Observe(t.Context()); s.Data != cluster.DataEmpty {
		t.Errorf("the rest counts: %+v", s)
	}
	old := sql(t, p, "SELECT system_identifier FROM pg_control_system()")
	must(t, next, next.Bootstrap(t.Context(), nil))
	s := next.Observe(t.Context())
	if s.SystemID == old || !s.IsPrimary() || s.Data != cluster.DataPresent || exists(foundingMark(p.cfg.DataDir)) {
		t.Errorf("after: %+v", s)
	}
	if !exists(p.cfg.DataDir+".failed", "global", "pg_control") {
		t.Error("nothing was kept for inspection")
	}
}
