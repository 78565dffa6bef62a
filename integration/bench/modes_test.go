//go:build bench

package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// modes are what TestBenchModes compares. The first is the baseline.
var modes = []struct {
	name     string
	settings []string
}{
	{"asynchronous", []string{"synchronous_mode=off", "synchronous_mode_strict=off"}},
	{"synchronous", []string{"synchronous_mode=on", "synchronous_mode_strict=off"}},
	{"synchronous, strict", []string{"synchronous_mode=on", "synchronous_mode_strict=on"}},
	{"quorum", []string{"synchronous_mode=quorum", "synchronous_mode_strict=off"}},
}

// TestBenchModes says what synchronous mode adds to the time for which clients wait: one cluster takes the modes in turns,
// so that a slow machine or disk slows all of them. BENCH_RUNS changes how often (5).
func TestBenchModes(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{})
	t.Cleanup(testcluster.Cleanup)
	chosen := events[:5]
	gaps := make([][][]float64, len(modes))
	for i := range modes {
		gaps[i] = make([][]float64, len(chosen))
	}
	for range repetitions() {
		for i, mode := range modes {
			enter(c, mode.settings)
			for j, e := range chosen {
				ready(c, i > 0)
				gaps[i][j] = append(gaps[i][j], e.run(c))
			}
		}
	}

	fmt.Printf("\n| event |")
	for _, mode := range modes {
		fmt.Printf(" %s |", mode.name)
	}
	fmt.Printf("\n|---|---|---|---|---|\n")
	for j, e := range chosen {
		fmt.Printf("| %s |", e.name)
		base := median(gaps[0][j])
		for i := range modes {
			m := median(gaps[i][j])
			if i == 0 {
				fmt.Printf(" %.2f s |", m)
				continue
			}
			fmt.Printf(" %.2f s (%.1f) |", m, m/base)
		}
		fmt.Println()
	}
	for j, e := range chosen {
		for i, mode := range modes {
			t.Logf("%s, %s: %v", e.name, mode.name, rounded(gaps[i][j]))
		}
	}
}

// enter sets a mode; the agents hear of it at once, and ready waits for what they make of it.
func enter(c *testcluster.Cluster, settings []string) {
	args := []string{"edit-config", "--force"}
	for _, s := range settings {
		args = append(args, "-s", s)
	}
	c.Hathi(args...)
}

// ready waits until all members stream and /sync lists members if, and only if, the mode is synchronous.
func ready(c *testcluster.Cluster, synchronous bool) {
	c.WaitHealthy(2 * time.Minute)
	c.WaitFor(2*time.Minute, "what /sync lists to fit the mode", func() bool {
		v := c.Look()
		return v != nil && (len(v.Sync.Standbys) > 0) == synchronous
	})
}
