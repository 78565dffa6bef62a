package agent

import (
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// toldLog is what was logged of the present state, so that it is said when it begins, and not with each turn.
type toldLog struct{ lost, down bool }

// tell logs what Patroni logs before it decides, in the words that users grep for. Source: Patroni 4.1, ha.py, _run_cycle and
// recover.
func (a *Agent) tell(o ha.Observation) {
	was := a.told
	a.told = toldLog{lost: o.Store.FailingSince != 0, down: !o.Settings.Pause && !o.Stopping && o.Job == nil &&
		o.Server.Data == cluster.DataPresent && o.Server.Process == cluster.ProcessNone}
	if a.told.lost && !was.lost {
		_, health := a.o.Store.Latest()
		err := health.LastError
		if o.Store.Refuses {
			a.mu.Lock()
			err = a.renewals.refusal
			a.mu.Unlock()
		}
		a.o.Log.Error("Error communicating with DCS", "error", err)
	}
	if a.told.down && !was.down {
		a.o.Log.Info("Postgresql is not running.")
		if c := o.Server.Control; c != nil {
			a.o.Log.Info("pg_controldata: " + c.String())
		}
	}
}
