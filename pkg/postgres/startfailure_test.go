package postgres

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

func TestStartFailureIsTold(t *testing.T) {
	i := primary(t)
	_, err := i.Stop(t.Context(), cluster.StopFast, false)
	must(t, i, err)
	good := i.cfg
	base := filepath.Join(i.cfg.DataDir, "postgresql.base.conf")
	content, err := os.ReadFile(base)
	must(t, i, err)
	wal := filepath.Join(i.cfg.DataDir, "pg_wal")
	for _, c := range []struct {
		name        string
		spoil       func()
		mend        func()
		says, says2 string
	}{
		{
			"pg_hba", func() { i.cfg.HBA = []string{"this is no line of pg_hba.conf"} }, func() { i.cfg = good },
			`invalid connection type "this"`, "pg_hba.conf",
		},
		{"a value", func() { must(t, i, os.WriteFile(base, append(content, "work_mem = banana\n"...), 0o600)) }, func() {
			must(t, i, os.WriteFile(base, content, 0o600))
		}, `invalid value for parameter "work_mem": "banana"`, "postgresql.base.conf"},
		{"a line", func() { must(t, i, os.WriteFile(base, []byte("port 5432 =\n"), 0o600)) }, func() {
			must(t, i, os.WriteFile(base, content, 0o600))
		}, `syntax error in file`, "line 1"},
		{
			"no WAL", func() { must(t, i, os.Rename(wal, wal+".away")) }, func() { must(t, i, os.Rename(wal+".away", wal)) },
			`required WAL directory "pg_wal" does not exist`, "log/",
		},
	} {
		c.spoil()
		err := i.StartPrimary(t.Context(), 0, nil)
		if err == nil || errors.Is(err, ErrStillStarting) || !strings.Contains(err.Error(), c.says) ||
			!strings.Contains(err.Error(), c.says2) || !strings.Contains(err.Error(), "started again by itself") {
			t.Errorf("%s: got %v", c.name, err)
		}
		if s := i.Observe(t.Context()); s.State != cluster.StateStartFailed || s.Process != cluster.ProcessNone {
			t.Errorf("%s: after: %+v", c.name, s)
		}
		c.mend()
	}
	must(t, i, i.StartPrimary(t.Context(), 0, nil))
}

// TestBadParameters: what this PostgreSQL would refuse does not keep it from starting.
func TestBadParameters(t *testing.T) {
	cfg := newConfig(t, "node1")
	cfg.Parameters = append(cfg.Parameters, Parameter{"work_mem", "nonsense"}, Parameter{"no_such_setting", "on"},
		Parameter{"my.setting", "x"}, Parameter{"maintenance_work_mem", "64MB"}, Parameter{"jit", "True"},
		Parameter{"temp_buffers", "1kB"}, Parameter{"checkpoint_completion_target", "7"}, Parameter{"seq_page_cost", "-3"})
	cfg.Recovery = []Parameter{
		{"recovery_min_apply_delay", "soon"}, {"restore_command", "false"}, {"recovery_target_time", "never"}, {"Trigger_File", "/x"},
	}
	var said bytes.Buffer
	i, err := New(cfg, slog.New(slog.NewTextHandler(io.MultiWriter(&said, t.Output()), nil)))
	must(t, i, err)
	t.Cleanup(i.Close)
	must(t, i, i.Bootstrap(t.Context(), nil))
	for _, name := range []string{"work_mem value=nonsense", "no_such_setting value=on", "recovery_target_time", "temp_buffers value=1kB nearest=100"} {
		if strings.Contains(said.String(), "parameter="+name) == (name == "recovery_target_time") {
			t.Errorf("the log about %s is wrong:\n%s", name, said.String())
		}
	}
	if got := sql(t, i, `SELECT current_setting('temp_buffers'), current_setting('checkpoint_completion_target'), current_setting('seq_page_cost')`); got != "800kB|1|0" {
		t.Errorf("out of range: %s", got)
	}
	if got := sql(t, i, `SELECT current_setting('recovery_min_apply_delay'), current_setting('restore_command')`); got != "0|false" {
		t.Errorf("recovery settings %s", got)
	}
	got := sql(t, i, `SELECT current_setting('work_mem'), current_setting('my.setting'), current_setting('maintenance_work_mem'), current_setting('jit')`)
	if got != "4MB|x|64MB|on" {
		t.Errorf("got %s", got)
	}
}
