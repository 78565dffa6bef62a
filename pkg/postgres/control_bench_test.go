//go:build bench

package postgres

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestBenchControl measures what the agent adds to what PostgreSQL needs: the same server is promoted and stopped by
// the agent's code and by pg_ctl in turns, in one run. make bench prints it.
func TestBenchControl(t *testing.T) {
	p := primary(t)
	r := replicaOf(t, p, "node2")
	eventually(t, r, "caught up", caughtUp(p))
	_, err := r.Stop(t.Context(), cluster.StopFast, false)
	must(t, r, err)
	times := map[string][]time.Duration{}
	measure := func(what string, f func() error) {
		begin := time.Now()
		must(t, r, f())
		times[what] = append(times[what], time.Since(begin))
	}
	pgCtl := func(i *Instance, args ...string) func() error {
		return func() error {
			out, err := exec.Command(i.cfg.program("pg_ctl"), append([]string{"-D", i.cfg.DataDir, "-w"}, args...)...).CombinedOutput()
			if err != nil {
				return fmt.Errorf("pg_ctl %v: %w: %s", args, err, out)
			}
			return nil
		}
	}
	for n := range 10 {
		cfg := newConfig(t, "node2")
		i := newInstance(t, cfg)
		must(t, i, copyDir(r.cfg.DataDir, cfg.DataDir))
		must(t, i, i.StartReplica(t.Context(), cluster.Upstream{}))
		i.Observe(t.Context())
		if n%2 == 0 {
			measure("promote, hathi", func() error { return i.Promote(t.Context()) })
			measure("stop, hathi", func() error { _, err := i.Stop(t.Context(), cluster.StopFast, false); return err })
		} else {
			measure("promote, pg_ctl", pgCtl(i, "promote"))
			measure("stop, pg_ctl", pgCtl(i, "stop", "-m", "fast"))
		}
	}
	for n := range 10 {
		if n%2 == 0 {
			measure("reload, hathi", func() error { return p.reload(t.Context()) })
		} else {
			measure("reload, pg_ctl", pgCtl(p, "reload"))
		}
	}
	median := func(what string) time.Duration {
		slices.Sort(times[what])
		return times[what][len(times[what])/2]
	}
	for _, what := range []string{"promote", "stop", "reload"} {
		ours, theirs := median(what+", hathi"), median(what+", pg_ctl")
		t.Logf("%s: %s, pg_ctl %s, ratio %.2f", what, ours.Round(time.Millisecond/10), theirs.Round(time.Millisecond/10), ours.Seconds()/theirs.Seconds())
		if ours > theirs*3/2+20*time.Millisecond {
			t.Errorf("%s takes much longer than with pg_ctl in %s", what, filepath.Base(p.cfg.BinDir))
		}
	}
}
