// Command report runs the fixed seeds, rare runs among them, and tells how often each rule of package ha decided or gave a
// reason. It is run at the root of the repository, whose source names the rules.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/hathi-ha/hathi/pkg/sim"
)

func main() {
	sim.CollectLess()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	flags.SetOutput(errs)
	seeds := flags.Int("n", len(sim.FixedRuns()), "run so many of the `seeds`")
	source := flags.String("source", "pkg/ha", "the `directory` with the source of the rules")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	names, err := sim.RuleNames(os.DirFS(*source))
	if err != nil {
		fmt.Fprintf(errs, "report: %s: %v\n", *source, err)
		return 1
	}
	runs := sim.FixedRuns()
	return report(names, runs[:max(0, min(*seeds, len(runs)))], out)
}

// report prints the rules; it fails if one was not taken that has no excuse.
func report(names []string, runs []sim.Options, out io.Writer) int {
	taken, failed := map[string]int{}, 0
	for _, o := range runs {
		r := sim.Run(o)
		for rule, n := range r.Rules {
			taken[rule] += n
		}
		if r.Violation != "" {
			fmt.Fprintf(out, "seed %d %v: %s\n", o.Seed, o.Rare, r.Violation)
			failed = 1
		}
	}
	reached := 0
	for _, name := range names {
		switch why, excused := sim.Unreached[name]; {
		case taken[name] > 0:
			reached++
			fmt.Fprintf(out, "%9d  %s\n", taken[name], name)
		case excused:
			fmt.Fprintf(out, "        -  %-24s %s\n", name, why)
		default:
			fmt.Fprintf(out, "    NEVER  %s\n", name)
			failed = 1
		}
	}
	fmt.Fprintf(out, "%d of %d rules taken in %d seeds\n", reached, len(names), len(runs))
	return failed
}
