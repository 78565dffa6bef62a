package cli

import (
	"testing"
	"time"
)

func TestSeconds(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "-3": 0, "-inf": 0, "0.25": 250 * time.Millisecond, " 2 ": 2 * time.Second, "1e300": forever, "inf": forever,
	} {
		var s seconds
		if err := s.Set(text); err != nil || s.duration() != want {
			t.Errorf("%q is %s, %v", text, s.duration(), err)
		}
	}
	for _, text := range []string{"", "nan", "two"} {
		if err := new(seconds).Set(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
