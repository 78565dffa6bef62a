package commands

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// What differs from run to run, replaced by something of the same width, so that tables keep their shape.
var unsteady = []struct {
	what *regexp.Regexp
	by   string // each digit is written as this; empty: the digits of the pattern's match become by
}{
	{regexp.MustCompile(`\b[0-9]{19}\b`), "7"},                                            // system identifier
	{regexp.MustCompile(`\b0/[0-9A-F]{7}\b`), "5"},                                        // LSN
	{regexp.MustCompile(`\b[0-9]{9}\b`), "6"},                                             // LSN in bytes, after several copies of the server
	{regexp.MustCompile(`\b20[0-9]{2}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}([.,][0-9]+)?`), "2"}, // a moment
	{regexp.MustCompile(`\(e\.g\. 20[-0-9]{8}T[0-9:]{5}`), "2"},                           // the same in a question
	{regexp.MustCompile(`PostgreSQL [0-9]+\.[0-9]+`), "1"},
	{regexp.MustCompile(`"postgresql": "[0-9]+\.[0-9]+"`), "1"},
}

var digit = regexp.MustCompile(`[0-9A-F]`)

// steady replaces what differs from run to run. Times of the test's own choice, in 2030, stay.
func steady(c *testcluster.Cluster, text string) string {
	for i, n := range c.Nodes {
		text = strings.ReplaceAll(text, fmt.Sprint(n.Port), fmt.Sprintf("2543%d", i+1))
		text = strings.ReplaceAll(text, fmt.Sprint(n.RESTPort), fmt.Sprintf("2800%d", i+1))
	}
	text = strings.ReplaceAll(text, c.Dir, "/tmp/cluster")
	for _, u := range unsteady {
		text = u.what.ReplaceAllStringFunc(text, func(s string) string {
			if strings.Contains(s, "2030") {
				return s
			}
			head := ""
			if i := strings.LastIndexAny(s, " ("); i >= 0 && !strings.HasPrefix(s, "20") {
				head, s = s[:i], s[i:]
			}
			return head + digit.ReplaceAllString(s, u.by)
		})
	}
	return text
}
