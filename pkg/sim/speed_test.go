package sim

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkRun says how many minutes of clusters are simulated in a minute of one core, garbage collection
// included: go test -run xxx -bench Run -benchtime 240x ./pkg/sim
func BenchmarkRun(b *testing.B) {
	var simulated time.Duration
	var seed uint64
	begin := spent(b)
	for b.Loop() {
		simulated += Run(Options{Seed: seed % 240}).Simulated
		seed++
	}
	b.ReportMetric(simulated.Minutes()/(spent(b)-begin).Minutes(), "cluster-min/cpu-min")
}

// spent gives the processor time that this process has used.
func spent(b *testing.B) time.Duration {
	b.Helper()
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
