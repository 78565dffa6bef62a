package agent

import (
	"errors"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// promoted notes how a promotion went. If the user's command has refused it, the next turn gives the lock up.
func (a *Agent) promoted(err error) {
	a.memory.Rewind = ha.RewindUnknown
	if errors.Is(err, cluster.ErrPromotionRefused) {
		a.memory.PromotionRefusedAt = a.o.Clock.Now()
	}
	a.failed("promotion failed", err)
}
