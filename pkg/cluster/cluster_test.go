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
	for text, want := range map[string]int{"15.4": 150004, " 15. 4": 150004, "9.6.24": 90624, "15.4.1": 150401} {
		if got, err := ParseVersion(text); err != nil || got != want {
			t.Errorf("%q is %d (%v), want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "15", "15.", "9.6", "x.y", "1.2.3.4", "-1.2"} {
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
	h := History{Present: true, Entries: lines(1, 100, 2, 200, 4, 300)}
	for _, c := range []struct {
		name     string
		timeline Timeline
		file     []HistoryEntry
		want     LSN
	}{
		{"not known which", 0, nil, 900},
		{"the cluster's", 5, lines(1, 100, 2, 200, 4, 300), 900},
		{"the cluster's as far as is known", 5, nil, 900},
		{"another one of that number that left earlier", 5, lines(1, 100, 2, 200, 4, 250), 250},
		{"and one that left later", 5, lines(1, 100, 2, 200, 4, 350), 300},
		{"one to come", 6, lines(1, 100, 2, 200, 4, 300, 5, 700), 900},
		{"a higher number that is not", 7, lines(1, 100, 2, 200, 4, 250, 6, 400), 250},
		{"an ancestor", 2, lines(1, 100), 200},
		{"another one of its number", 2, lines(1, 50), 50},
		{"the first", 1, nil, 100},
		{"one that was lost", 3, lines(1, 100, 2, 150), 150},
		{"as far as is known", 3, nil, 200},
	} {
		if got := h.Counts(900, c.timeline, c.file); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if got := (History{}).Counts(900, 3, nil); got != 900 {
		t.Errorf("without /history %s counts, want all", got)
	}
}

// lines makes a history of timelines and where they ended.
func lines(pairs ...LSN) (out []HistoryEntry) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, HistoryEntry{Timeline: Timeline(pairs[i]), LSN: pairs[i+1]})
	}
	return out
}

// TestHistoryParted: two lists of timelines, of which the one is the beginning of the other, or not.
func TestHistoryParted(t *testing.T) {
	for _, c := range []struct {
		name     string
		history  []HistoryEntry
		timeline Timeline
		file     []HistoryEntry
		at       LSN
		apart    bool
	}{
		{"the same", lines(1, 100, 2, 200), 3, lines(1, 100, 2, 200), 0, false},
		{"the first timeline", lines(1, 100), 1, nil, 0, false},
		{"an ancestor", lines(1, 100, 2, 200), 2, lines(1, 100), 0, false},
		{"a newer one", lines(1, 100), 3, lines(1, 100, 2, 200), 0, false},
		{"a newer one of the first cluster", nil, 3, lines(1, 100, 2, 200), 0, false},
		{"a newer one after a number that was left out", lines(1, 100, 2, 100), 4, lines(1, 100, 3, 200), 0, false},
		{"one that left a number out, and /history does not say so", lines(1, 100), 3, lines(1, 100), 0, false},
		{"one that left numbers out twice", lines(1, 100, 3, 100), 6, lines(1, 100, 4, 300), 0, false},
		{"a higher number", lines(1, 500), 3, lines(1, 400, 2, 450), 400, true},
		{"a higher number that began later", lines(1, 400), 3, lines(1, 500, 2, 550), 400, true},
		{"the number, which began elsewhere", lines(1, 500), 2, lines(1, 400), 400, true},
		{"the number, whose ancestor is another", lines(1, 100, 2, 200), 3, lines(1, 50, 2, 200), 50, true},
		{"a lower number", lines(1, 100, 2, 200, 3, 300), 3, lines(1, 100, 2, 150), 150, true},
		{"a higher number from an ancestor", lines(1, 100, 2, 200, 3, 300), 5, lines(1, 100, 2, 250), 200, true},
		{"a higher number from the newest but one", lines(1, 100, 2, 200), 4, lines(1, 100, 2, 250), 200, true},
		{"only the end of the history", lines(5, 500, 6, 600), 7, lines(1, 100, 2, 200, 3, 300, 4, 400, 5, 500, 6, 600), 0, false},
		{"only the end, and apart", lines(5, 500, 6, 600), 8, lines(1, 100, 2, 200, 3, 300, 4, 400, 5, 500, 6, 550), 550, true},
		{"only the end, and apart before", lines(5, 500, 6, 600), 8, lines(1, 100, 2, 200), 100, true},
		{"an ancestor before the end", lines(5, 500, 6, 600), 3, lines(1, 100, 2, 200), 0, false},
		{"only the end of the file", lines(1, 100, 2, 200, 3, 300, 4, 400), 5, lines(3, 300, 4, 400), 0, false},
		{"only its end, and apart", lines(1, 100, 2, 200, 3, 300, 4, 400), 6, lines(3, 300, 4, 450), 400, true},
		{"only its end, after all of /history", lines(1, 100), 6, lines(4, 300, 5, 450), 0, false},
	} {
		at, apart := (History{Present: true, Entries: c.history}).Parted(c.timeline, c.file)
		if at != c.at && c.apart || apart != c.apart {
			t.Errorf("%s: %v and timeline %d after %v: apart %v at %d, want %v at %d", c.name, c.history, c.timeline, c.file, apart, at, c.apart, c.at)
		}
	}
	if _, apart := (History{}).Parted(3, lines(1, 100)); apart {
		t.Error("apart from a history that is not there")
	}
}
