package sim

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// Rare runs: each is about one hardship or a few, which the other runs do not have, and which happen in it again and
// again besides the usual faults. They draw from numbers of their own, so that the runs without them do not change
// when a hardship is added.

// hardship is something rare that happens to a cluster.
type hardship struct {
	name string
	// standby: it is about standby clusters. Other rare runs are none.
	standby bool
	// runs is how many of it are among FixedRuns; zero: rareRuns.
	runs int
	// begin changes what the run is like, before anything has started; nil: nothing.
	begin func(*world)
	// strike lets it happen to a member; false if that makes no sense now, and another one is tried a second later.
	strike func(*world, *node) bool
	// decided is told what a member decides while faults happen, key what becomes of a key in etcd before anybody hears of
	// it: for what happens just then. Nil: there is nothing such.
	decided func(*world, *node, ha.Decision)
	key     func(w *world, kv dcs.KV, deleted bool)
}

// hardships are all there are.
var hardships = slices.Concat(serverHardships, clusterHardships)

// Hardships gives the names of what Options.Rare may be.
func Hardships() []string {
	names := make([]string, len(hardships))
	for i, h := range hardships {
		names[i] = h.name
	}
	return names
}

// rareRuns is how many runs of a hardship are usually among FixedRuns.
const rareRuns = 8

// FixedRuns are what the tests and the report run: FixedSeeds usual runs, and some of each hardship.
func FixedRuns() []Options {
	runs := make([]Options, 0, FixedSeeds+rareRuns*len(hardships))
	for seed := range uint64(FixedSeeds) {
		runs = append(runs, Options{Seed: seed})
	}
	for _, h := range hardships {
		for seed := range uint64(cmp.Or(h.runs, rareRuns)) {
			runs = append(runs, Options{Seed: seed, Rare: []string{h.name}})
		}
	}
	return runs
}

// rarities are the hardships of a run.
type rarities struct {
	rare     *rand.Rand // what they draw from
	hard     []hardship
	late     late
	allowing bool // somebody is about to turn use_pg_rewind on
	// mislabelled: a user has written the name of another cluster into /initialize.
	mislabelled bool
	saved       *backup // of etcd; nil: there is none
	young       young
	unheard     unheard
	disk        copyable   // a backup of the data
	foundings   int        // that something has happened to
	archive     []position // the end of each timeline in the archive of WAL
}

// chooseRare finds the hardships of a run by their names.
func (w *world) chooseRare(o Options) {
	w.rare = rand.New(rand.NewPCG(o.Seed, 0x7261726572617265))
	for _, name := range o.Rare {
		i := slices.IndexFunc(hardships, func(h hardship) bool { return h.name == name })
		if i < 0 {
			w.check.violate("there is no hardship %q", name)
			return
		}
		w.hard = append(w.hard, hardships[i])
	}
}

// isStandby reports whether a hardship of the run is about standby clusters.
func (r *rarities) isStandby() bool {
	return slices.ContainsFunc(r.hard, func(h hardship) bool { return h.standby })
}

// beginRare prepares the run for its hardships.
func (w *world) beginRare() {
	for _, h := range w.hard {
		if h.begin != nil {
			h.begin(w)
		}
	}
}

// suffers reports whether a hardship may happen now.
func (w *world) suffers(name string) bool { return w.faulty && w.has(name) }

// has reports whether the run is about a hardship.
func (r *rarities) has(name string) bool {
	return slices.ContainsFunc(r.hard, func(h hardship) bool { return h.name == name })
}

// rarely is true once in so many times, and only where the run suffers from a hardship.
func (w *world) rarely(name string, times int) bool {
	return w.suffers(name) && w.rare.IntN(times) == 0
}

// befalls takes down that a hardship has happened. It is no cause for another leader; what is one says so besides.
func (w *world) befalls(n *node, name string) {
	w.tracef(n, "RARE", "%s", name)
	w.mark("rare: " + name)
	w.strike = w.now
}

// spared reports whether a usual fault does not happen, to leave room for the hardships of the run.
func (w *world) spared() bool { return len(w.hard) > 0 && w.rare.IntN(4) > 0 }

// endure lets the hardships happen again and again for as long as faults happen.
func (w *world) endure(until time.Duration) {
	for _, h := range w.hard {
		if h.strike != nil {
			w.endureOne(h, until)
		}
	}
}

func (w *world) endureOne(h hardship, until time.Duration) {
	w.after(between(w.rare, time.Second, 20*time.Second), func() { w.strikeRare(h, until) })
}

// strikeRare waits for a moment that is good for a hardship.
func (w *world) strikeRare(h hardship, until time.Duration) {
	switch {
	case w.now >= until || !w.faulty:
	case w.now >= w.calm && h.strike(w, w.nodes[w.rare.IntN(len(w.nodes))]):
		w.endureOne(h, until)
	default:
		w.after(time.Second, func() { w.strikeRare(h, until) })
	}
}

// reacts lets the hardships see a decision.
func (r *rarities) reacts(w *world, n *node, d ha.Decision) {
	for _, h := range r.hard {
		if h.decided != nil && w.faulty {
			h.decided(w, n, d)
		}
	}
}

// sees lets them see a change in etcd.
func (r *rarities) sees(w *world, kv dcs.KV, deleted bool) {
	for _, h := range r.hard {
		if h.key != nil && w.faulty {
			h.key(w, kv, deleted)
		}
	}
}

// plague is a fault of a rare run that lasts at least so long; it may cost n the lead.
func (w *world) plague(n *node, what string, low, high time.Duration, end func()) {
	x := w.check.cause(n)
	w.lingers(n, what, low, high, func() {
		end()
		w.check.over(x)
	})
}

// lingers is plague for what may not cost anybody the lead.
func (w *world) lingers(n *node, what string, low, high time.Duration, end func()) {
	w.tracef(n, "FAULT", "%s", what)
	w.mark("fault: " + what)
	w.active++
	w.strike = w.now
	w.after(between(w.rare, low, high), func() {
		w.tracef(n, "HEALED", "%s", what)
		end()
		w.active--
		w.strike = w.now
	})
}
