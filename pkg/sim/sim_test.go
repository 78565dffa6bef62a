package sim

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
)

var seedFlag = flag.Int64("seed", -1, "the seed that TestSeed replays")

var rareNames = flag.String("rare", "", "the hardships of that run, separated by commas")

func rareFlag() []string {
	if *rareNames == "" {
		return nil
	}
	return strings.Split(*rareNames, ",")
}

func TestMain(m *testing.M) {
	CollectLess()
	m.Run()
}

// TestSeed replays one seed: go test ./pkg/sim -run TestSeed -seed 42 -v.
func TestSeed(t *testing.T) {
	seed := uint64(max(0, *seedFlag))
	r := Run(Options{Seed: seed, Rare: rareFlag(), Trace: true})
	if *seedFlag >= 0 {
		t.Log("\n" + strings.Join(r.Trace, "\n"))
	}
	if r.Violation != "" {
		t.Errorf("seed %d: %s", seed, r.Violation)
	}
}

// TestPromises runs the rules that ship over a fixed budget of seeds. Every promise must hold in each.
func TestPromises(t *testing.T) {
	t.Parallel()
	runs := FixedRuns()
	if testing.Short() {
		runs = runs[:20]
	}
	rules, marks := map[string]int{}, map[string]int{}
	for _, o := range runs {
		r := Run(o)
		if r.Violation != "" {
			t.Errorf("seed %d %v: %s\n%s", o.Seed, o.Rare, r.Violation, tail(o))
		}
		for k, n := range r.Rules {
			rules[k] += n
		}
		for k, n := range r.Marks {
			marks[k] += n
		}
	}
	if testing.Short() {
		return
	}
	for _, name := range Hardships() {
		if marks["rare: "+name] == 0 {
			t.Errorf("%q never happened", name)
		}
	}
	checkCoverage(t, rules)
	for _, mark := range reachedMarks {
		if marks[mark] == 0 {
			t.Errorf("%q never happened", mark)
		}
	}
}

// checkCoverage: a rule that no run takes is not tested by the simulation, so it needs a word about why.
func checkCoverage(t *testing.T, taken map[string]int) {
	names, err := RuleNames(os.DirFS("../ha"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		why, excused := Unreached[name]
		switch {
		case taken[name] == 0 && !excused:
			t.Errorf("rule %q was never taken", name)
		case taken[name] > 0 && excused && !strings.HasPrefix(why, "seldom"):
			t.Logf("rule %q is taken, so it needs no excuse: %s", name, why)
		}
		delete(taken, name)
	}
	for name := range taken {
		t.Errorf("rule %q is taken, but not found in the source: does namesRule lack a function?", name)
	}
	for name := range Unreached {
		if !slices.Contains(names, name) {
			t.Errorf("rule %q is excused and does not exist", name)
		}
	}
}

// reachedMarks are events that the simulation has to produce.
var reachedMarks = []string{
	"failsafe: accepted", "failsafe: refused", "acknowledged", "acknowledged in on", "acknowledged in quorum", "pg: the checkpointer is busy",
	"user: synchronous mode changed", "strike", "user: failover", "switchover: handed over", "user: pause", "user: stop", "user: switchover",
	"user: restart", "user: reinitialize", "user: scheduled switchover", plannedLease, "user: settings changed", "user: key removed",
	"user: leader key deleted", "user: leader key overwritten", "user: leader key deleted in pause",
	"user: PostgreSQL stopped by hand", "user: manual failover while the leader does not answer", "user: switchover while the leader does not answer",
	"user: switchover in pause",
	"user: promote-cluster", "user: demote-cluster", "fault: cut off from the server outside", "pg: a slow start", "pg: pre_promote says no",
	"pg: a failed bootstrap", "fault: node down while it founds the cluster", leadRetaken, "a planned restart is due", "a planned restart is dropped",
	"pg: copied from a replica", "pg: WAL is restored from the archive", pauseLeftBeside,
	"guard: clean stop", "guard: kill", "guard: release", "guard: replaced", "guard: retire agent",
	"fault: agent crashes", "fault: agent frozen", "fault: postmaster killed", "fault: postmaster frozen",
	"fault: guard killed", "fault: guard frozen", "fault: node down", "fault: machine replaced", "fault: machine replaced by another name",
	"fault: machine leaves for good", "fault: machine joins", "fault: slow replica", "user: settings changed at the worst moment", "user: tags changed", "fault: node frozen", "fault: etcd down",
	"fault: cut off from etcd", "fault: cut off from etcd (one way)", "fault: cut off from everybody",
	"fault: cut off from node1", "fault: slow link", "fault: messages lost",
}

// TestDeterministic: the same seed gives the same run to the letter, another seed another one.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		o := Options{Seed: seed, Trace: true}
		if seed == 4 {
			o.Rare = Hardships()
		}
		a, b := Run(o), Run(o)
		if a.Hash != b.Hash {
			for i := range min(len(a.Trace), len(b.Trace)) {
				if a.Trace[i] != b.Trace[i] {
					t.Fatalf("seed %d differs in line %d:\n%s\n%s", seed, i, a.Trace[i], b.Trace[i])
				}
			}
			t.Fatalf("seed %d: one trace has %d lines, the other %d", seed, len(a.Trace), len(b.Trace))
		}
		if c := Run(Options{Seed: seed, Rare: o.Rare}); c.Simulated != a.Simulated || c.Violation != a.Violation {
			t.Errorf("seed %d runs otherwise without its trace", seed)
		}
		if c := Run(Options{Seed: seed + 1000, Rare: o.Rare, Trace: true}); c.Hash == a.Hash {
			t.Errorf("seeds %d and %d give the same trace", seed, seed+1000)
		}
	}
}

// TestNodeClock: what a clock shows and when it shows it are inverse to each other.
func TestNodeClock(t *testing.T) {
	for _, skew := range []int64{-524, -1, 0, 1, 524} {
		s := &sched{}
		c := &nodeClock{s: s, offset: time.Hour, skew: skew}
		for _, at := range []time.Duration{0, 1, time.Millisecond, time.Second, 12345678901, 100 * time.Hour} {
			s.now = at
			if got := c.when(c.Now()); c.of(got) != c.Now() || got > at || at-got > 1 {
				t.Errorf("skew %d: at %d the clock shows %d, which it is said to show at %d", skew, at, c.Now(), got)
			}
			if got := c.later(time.Second); c.of(got) < c.Now().Add(time.Second) || c.of(got-1) >= c.Now().Add(time.Second) {
				t.Errorf("skew %d: a second later than %d is said to be %d", skew, at, got)
			}
		}
		s.now = 1000 * time.Second
		drift := c.Now().Sub(clock.Instant(time.Hour)) - 1000*time.Second
		if want := time.Duration(skew) * 1000 * time.Second >> 20; drift.Round(time.Microsecond) != want.Round(time.Microsecond) {
			t.Errorf("skew %d drifts by %s in 1000 s, not by %s", skew, drift, want)
		}
	}
}

// TestWAL: what two servers share ends where the first of them left.
func TestWAL(t *testing.T) {
	one := &branch{timeline: 1}
	two := &branch{timeline: 2, parent: one, fork: 100}
	three := &branch{timeline: 3, parent: one, fork: 50}
	for _, c := range []struct {
		p, q   position
		within bool
		shared int
	}{
		{position{one, 80}, position{one, 90}, true, 80},
		{position{one, 90}, position{one, 80}, false, 80},
		{position{one, 100}, position{two, 150}, true, 100},
		{position{one, 120}, position{two, 150}, false, 100},
		{position{two, 150}, position{three, 70}, false, 50},
		{position{three, 70}, position{two, 150}, false, 50},
	} {
		if got := c.p.within(c.q); got != c.within {
			t.Errorf("%v within %v: %v", c.p, c.q, got)
		}
		if got := c.p.shared(c.q); int(got) != c.shared {
			t.Errorf("%v and %v share %d, not %d", c.p, c.q, got, c.shared)
		}
	}
	if got := (position{two, 150}).until(80); got.branch != one || got.lsn != 80 {
		t.Errorf("timeline 2 cut back to 80 is on timeline %d at %d", got.branch.timeline, got.lsn)
	}
}
