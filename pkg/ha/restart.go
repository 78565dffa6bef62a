package ha

import (
	"fmt"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// RestartConditions are what a restart may be asked for with. The zero value asks for one in any case.
type RestartConditions struct {
	// Role is the role that the member must have; empty: any.
	Role string
	// OlderThan is the version that the server must be older than, as the server tells its own; zero: any.
	OlderThan int
	// Pending: only if settings wait for a restart.
	Pending bool
}

// Unmet says which condition a server does not meet, nothing if it meets all.
// Source: Patroni 4.1, ha.py, restart_matches.
func (c RestartConditions) Unmet(role cluster.Role, s cluster.Server) string {
	switch {
	case c.Role != "" && c.Role != string(role):
		return "the role is not " + c.Role
	case c.OlderThan != 0 && s.Version >= c.OlderThan:
		return fmt.Sprintf("PostgreSQL is not older than %d", c.OlderThan)
	case c.Pending && len(s.PendingRestart) == 0:
		return "no setting waits for a restart"
	}
	return ""
}

// PlannedRestart is a restart for later, or one that was asked for: then its time does not matter.
type PlannedRestart struct {
	RestartConditions
	At time.Time
	// Start is when the postmaster had started that is to be restarted; zero: none was known.
	Start time.Time
}

// RestartFate is what becomes of a restart for later.
type RestartFate int

// The fates.
const (
	RestartKept    RestartFate = iota // it stays as it is
	RestartDropped                    // it is not done any more
	RestartDue                        // it is done now
	RestartDone                       // it was done without anybody's asking
)

// ScheduledRestart judges a restart for later, with the words for the log if it comes to an end. It is looked at while
// somebody leads and nothing runs beside the loop, so it can have become stale when it is: who planned it for a quiet
// hour does not want it hours later. Source: Patroni 4.1, ha.py, evaluate_scheduled_restart and should_run_scheduled_action.
func ScheduledRestart(o Observation, role cluster.Role, p PlannedRestart) (RestartFate, string) {
	switch {
	case o.Job != nil, o.Store.View == nil, !o.locked(), o.Server.PostmasterStart.IsZero():
		return RestartKept, ""
	case !p.Start.IsZero() && !p.Start.Equal(o.Server.PostmasterStart):
		return RestartDropped, "Cancelling scheduled restart: postgres restart has already happened at " + cluster.FormatISO(o.Server.PostmasterStart)
	case o.paused(), o.Wall.Before(p.At):
		return RestartKept, ""
	case stale(&o, p.At):
		return RestartDropped, "Found a stale restart value, cleaning up: " + cluster.FormatISO(p.At)
	}
	if why := p.Unmet(role, o.Server); why != "" {
		return RestartDropped, "not proceeding with the restart: " + why
	}
	return RestartDue, "Manual scheduled restart at " + cluster.FormatISO(p.At)
}

// RestartRequest judges a restart that was asked for and has not begun yet, which etcd, the leader, or something that runs
// beside the loop may delay: its conditions hold until then, and the server that it was asked of may have been restarted
// meanwhile. With words for the log if it comes to an end. Patroni judges a request only once.
func RestartRequest(o Observation, role cluster.Role, p PlannedRestart) (RestartFate, string) {
	switch {
	case !o.Server.Answered:
		return RestartDue, "" // it shows again what it is
	case !p.Start.IsZero() && !o.Server.PostmasterStart.IsZero() && !p.Start.Equal(o.Server.PostmasterStart):
		return RestartDone, "not proceeding with the restart: postgres restart has already happened at " + cluster.FormatISO(o.Server.PostmasterStart)
	}
	if why := p.Unmet(role, o.Server); why != "" {
		return RestartDropped, "not proceeding with the restart: " + why
	}
	return RestartDue, ""
}

// stale reports whether the time of what was planned has passed for too long.
func stale(o *Observation, at time.Time) bool { return at.Sub(o.Wall) < -o.Settings.LoopWait*3/2 }
