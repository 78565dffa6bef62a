//go:build drift

package clock

import (
	"testing"
	"time"
)

// TestDrift: what the clock shows and when it shows it are inverse to each other, and a year is no overflow.
func TestDrift(t *testing.T) {
	defer func(d int64) { drift = d }(drift)
	for _, drift = range []int64{-200_000, -1000, 0, 1000, 200_000} {
		for _, kernel := range []time.Duration{1, time.Second, time.Hour, 3 * 365 * 24 * time.Hour} {
			want := Instant(float64(kernel) * (1 + float64(drift)/million))
			got := shown(Instant(kernel))
			if off := got.Sub(want); off.Abs() > time.Microsecond {
				t.Errorf("drift %d: at %s it shows %s, which is wrong by %s", drift, kernel, time.Duration(got), off)
			}
			if back := Kernel(got).Sub(Instant(kernel)); back.Abs() > 2 {
				t.Errorf("drift %d: %s is there and back %s", drift, kernel, back)
			}
		}
	}
	drift = -500_000
	before, began := time.Now(), System{}.Now()
	<-NewTimer(50 * time.Millisecond).C
	if real, own := time.Since(before), (System{}).Now().Sub(began); real < 100*time.Millisecond || own < 50*time.Millisecond || own > real*3/4 {
		t.Errorf("50 ms of a clock of half the speed took %s, and %s by itself", real, own)
	}
}
