package sim

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// Options say what to run. The zero value is seed 0 with the usual length.
type Options struct {
	Seed uint64
	// Faulty is how long faults happen before they heal; zero is five minutes of virtual time.
	Faulty time.Duration
	// Trace keeps every event of the run, which makes it several times slower.
	Trace bool
	// Modes are the synchronous modes to choose from; nil: all.
	Modes []cluster.SynchronousMode
	// Failsafe turns failsafe mode on or off; nil: it is on in every fourth run.
	Failsafe *bool
	// Standby makes it a standby cluster, or not; nil: it is one in the last forty of 240 runs.
	Standby *bool
	// Mixed lets every second member run the model of Patroni, and users do no more than usual.
	Mixed bool
	// Weak lets one known weakness of Patroni show in a mixed cluster; empty: what it may break is not looked at.
	Weak string
	// Rare are the hardships that a rare run is about; see Hardships.
	Rare []string
	// Plant may change what an agent is made of before it starts: the place for planted mistakes.
	Plant func(*agent.Options)
}

// Result is what became of a run.
type Result struct {
	Seed uint64
	// Violation is the first broken promise; empty if all held.
	Violation string
	Trace     []string       // the events in order; nil without Options.Trace
	Hash      uint64         // of the trace
	Rules     map[string]int // how often each rule of package ha decided or gave a reason
	Marks     map[string]int // how often something worth knowing happened
	Simulated time.Duration  // virtual time of the whole cluster
	// Loops is how many times loop_wait it took after the last fault until the cluster was healthy, rounded up.
	Loops int
}

// world is one simulated cluster.
type world struct {
	*sched
	rand     *rand.Rand
	net      *network
	etcd     *etcd
	nodes    []*node
	check    *checker
	base     cluster.Settings
	plant    func(*agent.Options)
	mixed    bool   // every second member runs the model of Patroni
	weakness string // of Patroni that may show

	modes *rand.Rand // what synchronous replication draws from
	doc   document   // what is in /config
	live  bool       // the synchronous mode changes while it runs
	// aiming: the next commit that some have and others lack is the leader's last.
	aiming bool

	orders *rand.Rand    // what users draw from
	busy   bool          // they do more than usual
	calm   time.Duration // until then no fault may begin

	choices []cluster.SynchronousMode
	read    struct {
		raw string
		doc document
	}

	remote *node      // the server that a standby cluster follows; nil: it is none
	far    *rand.Rand // what a standby cluster draws from
	swaps  *rand.Rand // what the exchange of members draws from; nil: they stay
	// moments is what changes of the configuration at the worst moment and slow replicas draw from; nil: there are none.
	moments *rand.Rand
	founded bool // somebody has tried to
	// members is how many there have been: the number in the name of the newest.
	members int

	rarities
	version int // of PostgreSQL

	faulty bool // faults may happen
	paused bool // a user has paused the cluster
	pauses int  // how often that was done, but for pausedEarly
	active int  // faults that have not healed
	strike time.Duration
	newest cluster.Timeline
	// branches are all that came of promotions.
	branches []*branch
	loops    int // that the cluster needed to come back
	pids     int
	serial   int
	tracing  bool
	trace    []string
	rules    map[string]int
	marks    map[string]int
	bare     bareMembers
	decoder  dcs.Decoder // of all mirrors: the same values come to each
}

// Run simulates one cluster: it comes up, faults happen, they heal, and it must come back. The same options
// give the same result, to the letter. It is safe for concurrent use.
func Run(o Options) Result {
	w := newWorld(o)
	w.play(cmp.Or(o.Faulty, 5*time.Minute))
	for _, n := range w.nodes {
		if n.agent != nil {
			n.agent.p.kill()
		}
	}
	r := Result{
		Seed: o.Seed, Violation: w.check.violation, Trace: w.trace, Rules: w.rules, Marks: w.marks,
		Simulated: w.now, Loops: w.loops,
	}
	h := fnv.New64a()
	for _, line := range w.trace {
		_, _ = h.Write([]byte(line)) // never fails
	}
	r.Hash = h.Sum64()
	return r
}

func newWorld(o Options) *world {
	r := rand.New(rand.NewPCG(o.Seed, 0x68617468692d6861))
	w := &world{
		sched: &sched{}, rand: r, net: newNetwork(r), plant: o.Plant, mixed: o.Mixed, weakness: o.Weak, tracing: o.Trace,
		rules: map[string]int{}, marks: map[string]int{}, base: chooseSettings(r), version: 150004,
	}
	w.modes = rand.New(rand.NewPCG(o.Seed, 0x73796e6368726f6e))
	w.orders, w.busy = rand.New(rand.NewPCG(o.Seed, 0x7573657273)), o.Seed%3 == 1 && !o.Mixed
	w.choices = o.Modes
	if w.choices == nil {
		w.choices = []cluster.SynchronousMode{cluster.SyncOff, cluster.SyncOn, cluster.SyncQuorum}
	}
	w.doc, w.live = w.chooseMode()
	w.base.FailsafeMode = o.Seed%4 == 0
	if o.Failsafe != nil {
		w.base.FailsafeMode = *o.Failsafe
	}
	w.base.CheckTimeline = w.base.CheckTimeline || o.Mixed && w.doc.Mode == cluster.SyncQuorum && !w.weak(weakBranch)
	w.check = &checker{w: w}
	w.check.mode = w.doc
	w.etcd = &etcd{w: w, up: true, skew: w.skew(), leases: map[int64]*lease{}}
	count := []int{2, 3, 3, 3, 3, 4, 5}[r.IntN(7)]
	w.members = count
	for i := range count {
		w.nodes = append(w.nodes, w.newNode(i, count))
		w.nodes[i].patroni = o.Mixed && i%2 == 1
	}
	w.chooseRare(o)
	if o.standby(w.isStandby()) {
		w.standbyCluster(o.Seed)
	}
	w.swapsMembers(o.Seed)
	w.changesSettings(o)
	w.beginRare()
	w.tracef(nil, "sim", "synchronous_mode %q, strict %v, count %d, live %v", w.doc.Mode, w.doc.Strict, w.doc.Count, w.live)
	w.tracef(nil, "sim", "seed %d: %d nodes, ttl %s, loop_wait %s, retry_timeout %s, primary_start_timeout %s",
		o.Seed, count, w.base.TTL, w.base.LoopWait, w.base.RetryTimeout, w.base.PrimaryStartTimeout)
	return w
}

// standby reports whether the run is one of a standby cluster; rare tells whether its hardships are.
func (o *Options) standby(rare bool) bool {
	switch {
	case o.Standby != nil:
		return *o.Standby
	case len(o.Rare) > 0:
		return rare
	}
	return o.Seed%FixedSeeds >= FixedSeeds-standbySeeds
}

func (w *world) newNode(i, count int) *node {
	n := &node{w: w, number: i, name: "node" + strconv.Itoa(i+1), dead: true}
	n.clock = &nodeClock{s: w.sched, offset: w.between(time.Hour, 1000*time.Hour), skew: w.skew()}
	n.tags = w.chooseMoreTags(i, count, w.chooseTags())
	n.server = &server{w: w, n: n, state: cluster.StateStopped}
	n.newGuard()
	w.after(w.between(0, 2*time.Second), n.boot)
	w.after(w.between(0, time.Second), func() { w.streams(n.server) })
	w.after(w.between(0, time.Second), func() { w.clients(n.server) })
	return n
}

// skew is up to 500 millionths, in either direction.
func (w *world) skew() int64 { return w.rand.Int64N(1049) - 524 }

// rhythm is ttl, loop_wait and retry_timeout in seconds.
type rhythm [3]time.Duration

// times are what runs choose from.
var times = []rhythm{{30, 10, 10}, {30, 10, 10}, {20, 5, 5}, {20, 10, 5}, {15, 5, 3}, {60, 10, 10}}

func (t rhythm) set(s *cluster.Settings) {
	s.TTL, s.LoopWait, s.RetryTimeout = t[0]*time.Second, t[1]*time.Second, t[2]*time.Second
}

// longestTTL is the longest that a lease of this run may live.
func (w *world) longestTTL() time.Duration {
	longest := w.base.TTL
	if w.doc.Times > 0 { // they were changed, perhaps more than once
		for _, t := range times {
			longest = max(longest, t[0]*time.Second)
		}
	}
	return longest
}

// chooseSettings gives the settings of a run: they keep to the rule of the documentation,
// loop_wait + 2*retry_timeout <= ttl.
func chooseSettings(r *rand.Rand) cluster.Settings {
	s := cluster.DefaultSettings()
	times[r.IntN(len(times))].set(&s)
	s.PrimaryStartTimeout = []time.Duration{300 * time.Second, 300 * time.Second, 20 * time.Second, 0}[r.IntN(4)]
	s.UsePgRewind = r.IntN(4) != 0
	s.RemoveDataDirOnDivergedTimeline = !s.UsePgRewind
	s.RemoveDataDirOnRewindFailure = true
	s.CheckTimeline = r.IntN(2) == 0
	if s.LoopWait == 5*time.Second {
		s.PrimaryStopTimeout = 3 * time.Second
	}
	return s
}

// play is the whole run.
func (w *world) play(faulty time.Duration) {
	if !w.settle("the cluster does not come up", w.comesUpIn()) {
		return
	}
	w.faulty = true
	end := w.now + faulty
	w.disturb(end)
	if w.busy {
		w.command(end)
	}
	if w.live {
		w.switchModes(end)
	}
	if w.doc.Mode != cluster.SyncOff {
		w.strikes(end)
	}
	if w.remote != nil {
		w.turns(end)
	}
	if w.swaps != nil {
		w.swap(end)
	}
	if w.moments != nil {
		w.slowReplicas(end)
	}
	w.endure(end)
	for w.check.violation == "" && w.step(end) {
	}
	w.faulty = false
	w.heal()
	healed := w.now
	if w.settle("the cluster does not come back after the faults have healed", w.bound()) {
		loop := w.slowest().LoopWait
		w.loops = int((w.now - healed + loop - 1) / loop)
		for end := w.now + time.Minute; w.check.violation == "" && w.step(end); { // it stays as it is
		}
	}
}

// recoveryLoops is how many times loop_wait the cluster may take to come back after the last lease has ended that a
// fault has left: for the race, for what failed and is tried again after a pause, for copies and for replay.
const recoveryLoops = 12

// bound is how long the cluster may take to come back after the last fault has healed: a lease, and recoveryLoops.
func (w *world) bound() time.Duration {
	s := w.slowest()
	return s.TTL + recoveryLoops*s.LoopWait
}

// slowest gives the longest ttl and loop_wait that may still be in force: those of now, and those that the run began with.
func (w *world) slowest() cluster.Settings {
	s := w.base
	if w.doc.Times > 0 {
		times[w.doc.Times-1].set(&s)
	}
	s.TTL, s.LoopWait = max(s.TTL, w.base.TTL), max(s.LoopWait, w.base.LoopWait)
	return s
}

// settle lets time pass until the cluster is healthy.
func (w *world) settle(failure string, limit time.Duration) bool {
	for end := w.now + limit; w.now < end; {
		next := min(end, w.now+time.Second)
		for w.check.violation == "" && w.step(next) {
		}
		if w.check.violation != "" {
			return false
		}
		if w.check.healthy() == "" {
			return true
		}
	}
	w.check.violate("%s within %s: %s", failure, limit, w.check.healthy())
	return false
}

// streams moves WAL to a server again and again.
func (w *world) streams(s *server) {
	w.after(s.stream(), func() { w.streams(s) })
}

// clients write to a server whenever it accepts that.
func (w *world) clients(s *server) {
	s.write()
	w.after(w.between(50*time.Millisecond, 400*time.Millisecond), func() { w.clients(s) })
}

// guards lets the guard of a node look, after a moment.
func (w *world) guards(n *node) { w.after(w.between(0, time.Millisecond), n.fence.judge) }

// etcdHost is the number of etcd's machine; those of members are smaller.
func (w *world) etcdHost() int { return 1000 }

func (w *world) node(name string) *node {
	for _, n := range w.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

func (w *world) between(low, high time.Duration) time.Duration { return between(w.rand, low, high) }

// chance is true that often in a hundred.
func (w *world) chance(percent int) bool { return w.rand.IntN(100) < percent }

// mark counts something that tests want to have happened.
func (w *world) mark(what string) { w.marks[what]++ }

// decided counts and traces the decision of an agent.
func (w *world) decided(n *node, d ha.Decision) {
	if len(d.Reasons) == 0 {
		w.check.violate("%s decided without a reason", n.name)
		return
	}
	for i, r := range d.Reasons {
		if i == 0 || r.Rule != d.Reasons[i-1].Rule {
			w.rules[r.Rule]++
			w.appealed(n, r.Rule)
			w.stranded(r.Rule)
		}
	}
	_, waiting := d.Action.(ha.Wait)
	w.check.again(n, d.Reasons[0].Rule, !waiting)
	if !waiting {
		w.tracef(n, "decides", "%s: %T: %s", d.Reasons[0].Rule, d.Action, d.Reasons[0].Text)
	}
	n.storeLost = strings.HasPrefix(d.Reasons[0].Rule, "store-lost")
	w.reacts(w, n, d)
}

// tracef notes an event; n is nil for what concerns no single node.
func (w *world) tracef(n *node, what, format string, args ...any) {
	if !w.tracing {
		return
	}
	name := "-"
	if n != nil {
		name = n.name
	}
	w.trace = append(w.trace, fmt.Sprintf("%11.4f %-6s %-7s %s", w.now.Seconds(), name, what, fmt.Sprintf(format, args...)))
}
