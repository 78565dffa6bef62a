//go:build drift

package clock

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// A clock that runs too fast or too slow, for tests: only a program built with -tags drift has it. No kernel gives a
// process a clock of another rate, so the program reads its own clock wrongly. All processes with the same rate
// show the same instant, as those of a machine have to.

// drift is by how many millionths System is too fast; below zero it is too slow. Zero if HATHI_TEST_DRIFT is not set.
var drift = readDrift()

const million = 1_000_000

func readDrift() int64 {
	text := os.Getenv("HATHI_TEST_DRIFT")
	if text == "" {
		return 0
	}
	d, err := strconv.ParseInt(text, 10, 64)
	if err != nil || d <= -million || d >= million {
		panic(fmt.Sprintf("HATHI_TEST_DRIFT=%q is not a number of millionths", text))
	}
	fmt.Fprintf(os.Stderr, "this clock drifts by %d millionths\n", d) // tests look for it
	return d
}

// scale gives i*by/of without an overflow on the way.
func scale(i, by, of int64) int64 { return i/of*by + i%of*by/of }

// shown gives what System shows when the kernel's clock shows an instant.
func shown(kernel Instant) Instant { return kernel + Instant(scale(int64(kernel), drift, million)) }

// Kernel gives what the kernel's clock shows when System shows i: timers of the kernel take that.
func Kernel(i Instant) Instant { return Instant(scale(int64(i), million, million+drift)) }

// NewTimer is time.NewTimer for a duration that System has measured.
func NewTimer(d time.Duration) *time.Timer {
	return time.NewTimer(time.Duration(scale(int64(d), million, million+drift)))
}
