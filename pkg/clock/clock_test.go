package clock

import (
	"math"
	"testing"
	"time"
)

func TestInstant(t *testing.T) {
	a := Instant(0).Add(time.Second)
	if b := a.Add(time.Minute); b.Sub(a) != time.Minute || !a.Before(b) || !b.After(a) || b.IsZero() {
		t.Errorf("%d and %d do not compare", a, b)
	}
	if !Instant(0).IsZero() {
		t.Error("the zero instant is not zero")
	}
}

// TestFarAway: what can't be counted does not come out on the other side.
func TestFarAway(t *testing.T) {
	a := Instant(time.Hour)
	last, first := a.Add(math.MaxInt64), Instant(-2).Add(math.MinInt64)
	if last != math.MaxInt64 || first != math.MinInt64 {
		t.Errorf("far away are %d and %d", last, first)
	}
	if d := last.Sub(first); d != math.MaxInt64 {
		t.Errorf("between them lies %d", d)
	}
	if d := first.Sub(last); d != math.MinInt64 {
		t.Errorf("backwards between them lies %d", d)
	}
}

func TestSystemGoesForward(t *testing.T) {
	var c System
	first := c.Now()
	if second := c.Now(); second < first || first <= 0 {
		t.Errorf("the clock shows %d after %d", second, first)
	}
}

func TestFake(t *testing.T) {
	wall := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	f := NewFake(5, wall)
	f.Advance(time.Hour)
	if f.Now() != Instant(5).Add(time.Hour) || !f.Wall().Equal(wall.Add(time.Hour)) {
		t.Errorf("after an hour it shows %d and %s", f.Now(), f.Wall())
	}
}
