package guard

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
)

// Step is what a guard does next.
type Step int

// The steps of a guard.
const (
	Rest        = Step(stepRest)    // nothing until the given instant; zero: until something happens
	StopServer  = Step(stepStop)    // begin a clean shutdown of PostgreSQL
	KillServer  = Step(stepKill)    // kill everything of PostgreSQL
	ReleaseLock = Step(stepRelease) // give the leader key up
)

// Situation is all that the next step of a guard depends on. The zero value is a guard that is not armed.
type Situation struct {
	Now        clock.Instant
	Armed      bool
	Deadline   clock.Instant // from then on the leader key may be somebody else's
	Window     time.Duration // what the deadline was ahead when it was given
	AgentDead  bool
	ServerDead bool // the postmaster is gone; children of it may be left
	Stopping   bool // a clean shutdown was begun
	Overdue    bool // what the deadline asks for is to be done now
}

// Plan is the rule by which a guard acts, for those who have to show what it would do: the simulator. It is
// pure and total. The instant is until when to rest.
func Plan(s Situation) (Step, clock.Instant) {
	next, until := plan(situation{
		now: s.Now, armed: s.Armed, charge: charge{Deadline: s.Deadline, Window: s.Window},
		agentDead: s.AgentDead, serverDead: s.ServerDead, stopping: s.Stopping, overdue: s.Overdue,
	})
	return Step(next), until
}
