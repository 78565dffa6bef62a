// Package commands runs every control command on a cluster of real processes and holds what it prints against
// golden files, one for each step.
package commands

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { testcluster.Main(m) }

const enough = time.Minute

// step is one command line and what is done around it.
type step struct {
	name  string // of the golden file
	args  string // the program, then its arguments, separated by blanks; 'quotes' keep them together
	input string
	env   []string
	// passing: what is shown is a cluster in the middle of a change, so only that there is a table is held.
	passing bool
	before  func(c *testcluster.Cluster)
	after   func(c *testcluster.Cluster)
}

// TestCommands goes through the steps in their order, on one cluster.
func TestCommands(t *testing.T) {
	c := testcluster.Prepare(t, testcluster.Options{TTL: 6, LoopWait: 2, Retry: 2})
	c.Nodes[0].Run() // the first to run founds the cluster, so that it is always the same one that leads
	c.WaitFor(enough, "a leader", func() bool { return c.Leader() == c.Nodes[0] })
	for _, n := range c.Nodes[1:] {
		n.Run()
	}
	c.WaitHealthy(2 * enough)
	t.Run("completion", func(t *testing.T) { completion(t, c) })
	t.Run("terminal", func(t *testing.T) { c.T = t; inTerminal(t, c) })
	seen := map[string]bool{}
	for _, s := range steps() {
		t.Run(s.name, func(t *testing.T) {
			c.T = t
			if seen[s.name] {
				t.Fatalf("two steps are called %s", s.name)
			}
			seen[s.name] = true
			s.run(t, c)
		})
	}
	t.Run("files", func(t *testing.T) {
		golden, _ := filepath.Glob("testdata/*.golden")
		if len(golden) != len(seen) {
			t.Errorf("%d golden files for %d steps: remove those of steps that are gone", len(golden), len(seen))
		}
	})
}

func (s step) run(t *testing.T, c *testcluster.Cluster) {
	if s.before != nil {
		s.before(c)
	}
	args := testcluster.Words(s.args)
	env := append([]string{"TZ=UTC", "PGPASSWORD=secret-super", "PGUSER=postgres", "PGSSLMODE=disable", "PGDATABASE=postgres"}, s.env...)
	out, code := c.RunAs(args[0], s.input, env, args[1:]...)
	if s.after != nil {
		s.after(c)
	}
	text := fmt.Sprintf("$ %s\n%s→ %d\n", s.args, steady(c, out), code)
	if s.input != "" {
		text = fmt.Sprintf("$ printf %q | %s\n%s→ %d\n", s.input, s.args, steady(c, out), code)
	}
	if s.passing {
		text = testcluster.WithoutTables(text)
	}
	path := filepath.Join("testdata", s.name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("got\n%s\nwant\n%s\nraw\n%s\n%s", text, want, out, c.Describe())
	}
}
