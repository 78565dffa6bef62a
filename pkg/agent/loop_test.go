package agent

import (
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/ha"
)

// TestPauses: what does not achieve anything is done more and more seldom, also if two rules undo what the other does, until
// there is nothing to do for once.
func TestPauses(t *testing.T) {
	a, c := receiver(t)
	turn := func(action ha.Action, rule string) time.Duration {
		_, rests := action.(ha.Wait)
		d := ha.Decision{Action: action, Reasons: []ha.Reason{{Rule: rule}}}
		return a.nextTurn(c.Now(), d, !rests).Sub(c.Now())
	}
	round := func() time.Duration {
		return turn(ha.AcquireLeader{}, "race-paused-candidate") + turn(ha.ReleaseLeader{}, "identity-release")
	}
	for n := range 2 {
		if got := round(); got != 0 {
			t.Errorf("round %d pauses for %s", n+1, got)
		}
	}
	last := time.Duration(0)
	for n := 2; n < 12; n++ {
		got := round()
		if want := 2 * min(50*time.Millisecond<<(n-2), a.settings.LoopWait); got != want {
			t.Errorf("round %d pauses for %s, not for %s", n+1, got, want)
		}
		last = got
	}
	if last != 2*a.settings.LoopWait {
		t.Errorf("the pauses grow to %s only", last/2)
	}
	turn(ha.Wait{}, "race-paused")
	if got := round(); got != 0 {
		t.Errorf("pauses for %s after there was nothing to do", got)
	}
}
