package agent

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/ha"
)

// Meter counts turns.
type Meter interface {
	// Turn tells of a turn of the loop of member name: what it saw and decided, and how long it took with the action.
	Turn(name string, o ha.Observation, d ha.Decision, took time.Duration)
}

func (a *Agent) measure(o ha.Observation, d ha.Decision) {
	if a.o.Meter != nil {
		a.o.Meter.Turn(a.o.Name, o, d, a.o.Clock.Now().Sub(o.Now))
	}
}

// guardState tells what the agent knows of its guard. While the guard is being told something nothing is known.
func (a *Agent) guardState() string {
	if !a.fence.busy.TryLock() {
		return "unknown"
	}
	defer a.fence.busy.Unlock()
	return map[armState]string{armUnknown: "unknown", armOff: "disarmed", armOn: "armed"}[a.fence.state]
}
