// Command soak runs the simulator over one seed after the other until it is told to stop, or runs one seed
// again and shows everything that happens in it.
package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/hathi-ha/hathi/pkg/sim"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(errs)
	seed := flags.Int64("seed", -1, "replay this `seed` with its whole trace")
	from := flags.Uint64("from", 1, "begin with this `seed`")
	all := flags.Bool("all", false, "go on after a failure, and only name the seeds that fail")
	count := flags.Uint64("n", 0, "end after so many `seeds`; 0 runs until interrupted")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *seed >= 0 {
		return replay(uint64(*seed), out)
	}
	return soak(*from, *count, *all, out)
}

// replay runs one seed and prints its trace.
func replay(seed uint64, out io.Writer) int {
	r := sim.Run(sim.Options{Seed: seed, Trace: true})
	for _, line := range r.Trace {
		fmt.Fprintln(out, line)
	}
	if r.Violation != "" {
		fmt.Fprintf(out, "seed %d: %s\n", seed, r.Violation)
		return 1
	}
	fmt.Fprintf(out, "seed %d: every promise held for %s, trace %016x\n", seed, r.Simulated.Round(time.Second), r.Hash)
	return 0
}

// report is how often the progress is printed.
const report = 10 * time.Second

// soak runs seeds until a signal, a failure or the end of the count.
func soak(from, count uint64, all bool, out io.Writer) int {
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
		r := sim.Run(sim.Options{Seed: from + done})
		simulated += r.Simulated
		add(rules, r.Rules)
		add(marks, r.Marks)
		if r.Violation != "" && !all {
			return replay(r.Seed, out)
		}
		if r.Violation != "" {
			fmt.Fprintf(out, "seed %d: %s\n", r.Seed, r.Violation)
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
