//go:build patroni

package patroni

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// step is one command line, given to both programs called patronictl, which must print the same.
type step struct {
	// args are separated by blanks; 'quotes' keep them together; {soon} stands for a moment a few seconds ahead.
	args, input string
	// passing: the table is of a cluster in the middle of a change, so only that there is one is held.
	passing bool
	before  func(c *testcluster.Cluster) // makes the state that the command finds, before each of the two
	after   func(c *testcluster.Cluster) // looks at what the command has done, after each of the two
}

// both runs the steps with each program.
func both(t *testing.T, c *testcluster.Cluster, steps []step) {
	for _, s := range steps {
		t.Run(strings.ReplaceAll(s.args, "/", "_"), func(t *testing.T) {
			c.T = t
			want := s.run(c, theirs)
			if got := s.run(c, ours); got != want {
				t.Errorf("hathi's patronictl:\n%s\nPatroni's:\n%s", got, want)
			}
		})
	}
	c.T = t
}

func (s step) run(c *testcluster.Cluster, program string) string {
	c.T.Helper()
	if s.before != nil {
		s.before(c)
	}
	env := []string{
		"TZ=UTC", "LANG=C.UTF-8", "PGPASSWORD=secret-super", "PGUSER=postgres", "PGSSLMODE=disable", "PGDATABASE=postgres",
		"EDITOR=true",
	}
	args := strings.ReplaceAll(s.args, "{soon}", time.Now().Add(15*time.Second).UTC().Format(time.RFC3339))
	out, wrong, code := c.Streams(program, s.input, env, testcluster.Words(args)...)
	text := "stdout:\n" + out + "stderr:\n" + wrong + "exit code " + string(rune('0'+code))
	if s.after != nil {
		defer func() {
			if c.T.Failed() {
				c.T.Logf("%s %s:\n%s", program, args, text)
			}
		}()
		s.after(c)
	}
	if s.passing {
		return steady(testcluster.WithoutTables(text))
	}
	return steady(text)
}

// What differs between two runs of a command, replaced by something of the same width, so that tables keep their shape.
var unsteady = []struct {
	what *regexp.Regexp
	by   string
}{
	// A position, and in a table how far that is behind: a copy that was made just now may show its last segment.
	{regexp.MustCompile(` *\b[0-9A-F]+/[0-9A-F]+\b( \| +[0-9]+ )?`), "L"},
	{regexp.MustCompile(`\b20[0-9]{2}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9.,]+)?`), "time"}, // a moment
	{regexp.MustCompile(`reinitialize \[[a-z0-9, ]+\]`), "reinitialize [any order]"},
	{regexp.MustCompile(`over to "node[0-9]"`), "over to somebody"}, // without a candidate it may be any; the steps say who must lead
	{regexp.MustCompile(`ctl version [0-9.]+`), "ctl version"},      // the release that is spoken of
}

// steady leaves out what differs from run to run, but for times of the test's own choice, in 2030.
func steady(text string) string {
	for _, u := range unsteady {
		text = u.what.ReplaceAllStringFunc(text, func(s string) string {
			switch {
			case strings.HasPrefix(s, "2030"):
				return s
			case u.by == "L":
				return strings.Repeat(u.by, len(s))
			}
			return u.by
		})
	}
	return text
}
