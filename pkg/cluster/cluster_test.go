package cluster

import (
	"slices"
	"testing"
)

func TestLSN(t *testing.T) {
	for text, want := range map[string]LSN{"0/30002D8": 0x30002D8, "1/0": 1 << 32, "FFFFFFFF/FFFFFFFF": 1<<64 - 1} {
		got, err := ParseLSN(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s reads as %d (%v) and writes as %s", text, got, err, got)
		}
	}
	for _, text := range []string{"", "0", "x/1", "1/x", "100000000/0"} {
		if got, err := ParseLSN(text); err == nil {
			t.Errorf("%q reads as %s", text, got)
		}
	}
	if LSN(5).Behind(7) != 2 || LSN(7).Behind(5) != 0 {
		t.Error("Behind counts in the wrong direction")
	}
}

// The names are those of postgresql.md 8.1; every node has to come to the same.
func TestSlotName(t *testing.T) {
	long := "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	for member, want := range map[string]string{
		"Node-1.example.com": "node_1_example_com", "pg@1": "pgu00641", "a b": "au0032b", "node:1": "nodeu00581", long: long[:63],
	} {
		if got := SlotName(member); got != want {
			t.Errorf("slot of %q is %q, want %q", member, got, want)
		}
	}
}

// Source: keyspace.md 4.2, how readers interpret tags.
func TestTags(t *testing.T) {
	for _, c := range []struct {
		name       string
		tags       Tags
		nofailover bool
		priority   int
	}{
		{"none", nil, false, 1},
		{"nofailover", Tags{"nofailover": true}, true, 0},
		{"a quoted false is true", Tags{"nofailover": "false"}, true, 0},
		{"priority zero", Tags{"failover_priority": float64(0)}, true, 0},
		{"priority", Tags{"failover_priority": "3"}, false, 3},
		{"the boolean wins", Tags{"nofailover": false, "failover_priority": 0}, false, 0},
		{"garbage", Tags{"failover_priority": "high"}, false, 1},
	} {
		if got := c.tags.NoFailover(); got != c.nofailover {
			t.Errorf("%s: nofailover %v", c.name, got)
		}
		if got := c.tags.FailoverPriority(); got != c.priority {
			t.Errorf("%s: priority %d, want %d", c.name, got, c.priority)
		}
	}
	if !(Tags{"nostream": "on"}).NoStream() || (Tags{"nostream": "maybe"}).NoStream() {
		t.Error("nostream is not a boolean word")
	}
}

func TestMemberAddress(t *testing.T) {
	for url, want := range map[string][2]string{
		"postgres://10.0.0.1:5433/postgres": {"10.0.0.1", "5433"},
		"postgres://[fd00::1]:5432/x":       {"fd00::1", "5432"},
		"postgres://node1/postgres":         {"node1", "5432"},
		"":                                  {"", ""},
		"http://%zz":                        {"", ""},
	} {
		host, port := Member{ConnURL: url}.Address()
		if host != want[0] || port != want[1] {
			t.Errorf("%q is at %q %q, want %v", url, host, port, want)
		}
	}
}

func TestHistoryTimeline(t *testing.T) {
	if got := (History{}).Timeline(); got != 0 {
		t.Errorf("no history is on timeline %d", got)
	}
	if got := (History{Present: true}).Timeline(); got != 1 {
		t.Errorf("an empty history is on timeline %d", got)
	}
	if got := (History{Present: true, Entries: []HistoryEntry{{Timeline: 1}, {Timeline: 4}}}).Timeline(); got != 5 {
		t.Errorf("after timeline 4 comes %d", got)
	}
}

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]int{"": 0, "15.4": 150004, "9.6.24": 90624} {
		if got, err := ParseVersion(text); err != nil || got != want {
			t.Errorf("%q is %d (%v), want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"15", "9.6", "x.y", "1.2.3.4", "-1.2"} {
		if got, err := ParseVersion(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

// TestHistoryLines: what /history says of a timeline, and what can be read from it.
func TestHistoryLines(t *testing.T) {
	one, two := HistoryEntry{Timeline: 1, LSN: 100, Reason: "r"}, HistoryEntry{Timeline: 2, LSN: 200}
	for _, c := range []struct {
		timeline Timeline
		file     []HistoryEntry
		want     []HistoryEntry
	}{
		{1, nil, nil},
		{2, []HistoryEntry{one}, []HistoryEntry{one}},
		{3, []HistoryEntry{one, two}, []HistoryEntry{one, two}},
		{3, []HistoryEntry{one}, []HistoryEntry{one, {Timeline: 2, LSN: 100, Reason: "r"}}},
		{5, []HistoryEntry{one}, []HistoryEntry{one, {Timeline: 4, LSN: 100, Reason: "r"}}},
	} {
		got := c.timeline.Lines(c.file)
		if !slices.Equal(got, c.want) {
			t.Errorf("timeline %d with %v: %v, want %v", c.timeline, c.file, got, c.want)
		}
		if h := (History{Present: true, Entries: got}); h.Timeline() != c.timeline {
			t.Errorf("%v is taken for timeline %d, not for %d", got, h.Timeline(), c.timeline)
		}
	}
	h := History{Present: true, Entries: []HistoryEntry{one, two, {Timeline: 4, LSN: 300}}}
	for timeline, want := range map[Timeline]LSN{1: 0, 2: 100, 3: 0, 4: 200, 5: 300, 6: 0} {
		if got, known := h.Began(timeline); got.LSN != want || known != (want != 0) {
			t.Errorf("timeline %d began at %s (%v), want %s", timeline, got.LSN, known, want)
		}
	}
}

// TestHistoryCounts: how much of the WAL of a member is the cluster's, which is on timeline 5.
func TestHistoryCounts(t *testing.T) {
	h := History{Present: true, Entries: []HistoryEntry{{Timeline: 1, LSN: 100}, {Timeline: 2, LSN: 200}, {Timeline: 4, LSN: 300}}}
	for _, c := range []struct {
		name     string
		timeline Timeline
		fork     LSN
		want     LSN
	}{
		{"not known which", 0, 0, 900},
		{"the cluster's", 5, 300, 900},
		{"the cluster's as far as is known", 5, 0, 900},
		{"another one of that number that left earlier", 5, 250, 250},
		{"and one that left later", 5, 350, 300},
		{"one to come", 6, 700, 900},
		{"an ancestor", 2, 100, 200},
		{"another one of its number", 2, 50, 50},
		{"the first", 1, 0, 100},
		{"one that was lost", 3, 150, 200},
	} {
		if got := h.Counts(900, c.timeline, c.fork); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if got := (History{}).Counts(900, 3, 0); got != 900 {
		t.Errorf("without /history %s counts, want all", got)
	}
}
