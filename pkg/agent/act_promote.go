package agent

import (
	"errors"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// promoted notes how a promotion went. If the user's command has refused it, before the server was told, the next turn gives
// the lock up, and /sync what it said before.
func (a *Agent) promoted(err error, before *cluster.SyncState) {
	a.memory.Rewind = ha.RewindUnknown
	if errors.Is(err, cluster.ErrPromotionRefused) {
		a.memory.PromotionRefusedAt = a.o.Clock.Now()
		a.memory.Sync.Before = before
	}
	a.failed("promotion failed", err)
}
