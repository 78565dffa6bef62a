// Command soak runs the simulator over one seed after the other until it is told to stop, or runs one seed
// again and shows everything that happens in it. With -rare each run has hardships besides.
package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/sim"
)

func main() {
	sim.CollectLess()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(errs)
	seed := flags.Int64("seed", -1, "replay this `seed` with its whole trace")
	from := flags.Uint64("from", 1, "begin with this `seed`")
	all := flags.Bool("all", false, "go on after a failure, and only name the seeds that fail")
	count := flags.Uint64("n", 0, "end after so many `seeds`; 0 runs until interrupted")
	kind := kindFlags(flags)
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *seed >= 0 {
		return replay(kind(uint64(*seed)), out)
	}
	return soak(*from, *count, *all, kind, out)
}

// kindFlags declares what chooses the kind of cluster; without them a seed chooses as in the tests. What it gives makes
// the options of a seed, once the flags are parsed.
func kindFlags(flags *flag.FlagSet) func(seed uint64) sim.Options {
	names := flags.String("rare", "", "`hardships` of each run, separated by commas; all: one after the other")
	modes := flags.String("modes", "", "choose among these synchronous `modes`: off, on, quorum")
	mixed := flags.Bool("mixed", false, "every second member runs the model of Patroni; no standby clusters")
	failsafe := flags.Bool("failsafe", false, "failsafe mode in every run; without -mixed every fourth has it anyhow")
	weak := flags.String("weak", "", "let this `weakness` of Patroni show in a mixed cluster; pkg/sim/weak.go has the words")
	return func(seed uint64) sim.Options {
		o := rare(seed, *names)
		o.Mixed, o.Weak = *mixed, *weak
		for mode := range strings.FieldsFuncSeq(*modes, func(r rune) bool { return r == ',' }) {
			o.Modes = append(o.Modes, cluster.SynchronousMode(strings.TrimPrefix(mode, "off"))) // off is the empty mode
		}
		if *mixed || *failsafe {
			o.Failsafe = failsafe
		}
		if *mixed {
			o.Standby = new(bool)
		}
		return o
	}
}

// rare gives the options of a seed.
func rare(seed uint64, names string) sim.Options {
	o := sim.Options{Seed: seed}
	if known := sim.Hardships(); names == "all" {
		o.Rare = known[seed%uint64(len(known)):][:1]
	} else if names != "" {
		o.Rare = strings.Split(names, ",")
	}
	return o
}

// replay runs one seed and prints its trace.
func replay(o sim.Options, out io.Writer) int {
	o.Trace = true
	r := sim.Run(o)
	for _, line := range r.Trace {
		fmt.Fprintln(out, line)
	}
	if r.Violation != "" {
		fmt.Fprintf(out, "seed %d %v: %s\n", o.Seed, o.Rare, r.Violation)
		return 1
	}
	fmt.Fprintf(out, "seed %d: every promise held for %s, trace %016x\n", o.Seed, r.Simulated.Round(time.Second), r.Hash)
	return 0
}

// report is how often the progress is printed.
const report = 10 * time.Second

// soak runs seeds until a signal, a failure or the end of the count.
func soak(from, count uint64, all bool, kind func(uint64) sim.Options, out io.Writer) int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	begin, last := time.Now(), time.Now()
	var simulated time.Duration
	var done uint64
	failed := 0
	rules, marks := map[string]int{}, map[string]int{}
	progress := func() {
		spent := time.Since(begin)
		fmt.Fprintf(out, "%d seeds, next is %d: %.1f seeds/s, %.1f cluster-hours per minute\n",
			done, from+done, float64(done)/spent.Seconds(), simulated.Hours()/spent.Minutes())
	}
	for ; count == 0 || done < count; done++ {
		select {
		case <-signals:
			progress()
			summary(out, "rules", rules)
			summary(out, "marks", marks)
			return failed
		default:
		}
		o := kind(from + done)
		r := sim.Run(o)
		simulated += r.Simulated
		add(rules, r.Rules)
		add(marks, r.Marks)
		if r.Violation != "" && !all {
			return replay(o, out)
		}
		if r.Violation != "" {
			fmt.Fprintf(out, "seed %d %v: %s\n", o.Seed, o.Rare, r.Violation)
			failed = 1
		}
		if time.Since(last) >= report {
			last = time.Now()
			progress()
		}
	}
	progress()
	summary(out, "rules", rules)
	summary(out, "marks", marks)
	return failed
}

func add(to, from map[string]int) {
	for k, n := range from {
		to[k] += n
	}
}

func summary(out io.Writer, title string, counts map[string]int) {
	fmt.Fprintf(out, "%s:\n", title)
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(out, "%9d  %s\n", counts[k], k)
	}
}
