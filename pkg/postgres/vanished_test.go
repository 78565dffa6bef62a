package postgres

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestProgramsNoticeThatTheSourceHasVanished: the programs that copy from another server are told how long to wait for
// one that is silent for good, in words that they know.
func TestProgramsNoticeThatTheSourceHasVanished(t *testing.T) {
	p := primary(t)
	r := promotedBeside(t, p)
	sql(t, p, `CREATE TABLE public.lost (n int)`)
	_, err := p.Stop(t.Context(), cluster.StopFast, true)
	must(t, p, err)
	said := filepath.Join(filepath.Dir(p.cfg.DataDir), "said")
	p.cfg.BinNames = map[string]string{}
	for _, name := range []string{"pg_rewind", "pg_basebackup"} {
		path, err := filepath.Rel(p.cfg.BinDir, script(t, p.cfg, `echo "$@" >> `+said+"; exec "+p.cfg.program(name)+` "$@"`))
		must(t, p, err)
		p.cfg.BinNames[name] = path
	}
	must(t, p, p.Rewind(t.Context(), address(r)))
	must(t, p, p.Clone(t.Context(), cluster.Copy{From: address(r), Replace: true}))
	b, err := os.ReadFile(said)
	must(t, p, err)
	calls := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(calls) != 2 {
		t.Errorf("%d calls", len(calls))
	}
	for _, call := range calls {
		if !strings.Contains(call, " keepalives_idle=30 ") || !strings.Contains(call, " tcp_user_timeout=60000") {
			t.Errorf("called with %s", call)
		}
	}
}
