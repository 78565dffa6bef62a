package view

import (
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	before := "loop_wait: 10\nmaximum_lag_on_failover: 1048576\npostgresql:\n  parameters:\n    max_connections: 100\n    work_mem: 4MB\n  use_pg_rewind: true\nretry_timeout: 10\nttl: 30\n"
	for name, c := range map[string]struct{ before, after, want string }{
		"equal": {before, before, ""},
		"removed": {
			before, strings.NewReplacer("    max_connections: 100\n", "", "4MB", "8MB").Replace(before),
			"--- \n+++ \n@@ -2,8 +2,7 @@\n maximum_lag_on_failover: 1048576\n postgresql:\n   parameters:\n-    max_connections: 100\n-    work_mem: 4MB\n+    work_mem: 8MB\n   use_pg_rewind: true\n retry_timeout: 10\n ttl: 30\n",
		},
		"one line": {"ttl: 60\n", "loop_wait: 5\nttl: 60\n", "--- \n+++ \n@@ -1 +1,2 @@\n+loop_wait: 5\n ttl: 60\n"},
		"two hunks": {
			"a\nb\nc\nd\ne\nf\ng\nh\ni\n", "A\nb\nc\nd\ne\nf\ng\nh\nI\n",
			"--- \n+++ \n@@ -1,4 +1,4 @@\n-a\n+A\n b\n c\n d\n@@ -6,4 +6,4 @@\n f\n g\n h\n-i\n+I\n",
		},
	} {
		if got := string(Diff(c.before, c.after, false)); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
	}
	want := "\x1b[33m--- \x1b[0m\n\x1b[33m+++ \x1b[0m\n\x1b[34m@@ -1 +1 @@\x1b[0m\n\x1b[31m-ttl: \x1b[7m3\x1b[27m0\x1b[0m\n\x1b[32m+ttl: \x1b[7m6\x1b[27m0\x1b[0m\n"
	if got := string(Diff("ttl: 30\n", "ttl: 60\n", true)); got != want {
		t.Errorf("in colour: got %q, want %q", got, want)
	}
}
