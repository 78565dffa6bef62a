package sim

import (
	"context"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Stop implements agent.Postgres.
func (p *postgres) Stop(ctx context.Context, mode cluster.StopMode, checkpoint bool) (cluster.LSN, error) {
	return p.stopTold(ctx, mode, checkpoint, nil)
}

// StopPrimary implements agent.Postgres.
func (p *postgres) StopPrimary(ctx context.Context, checkpoint bool, shutDown func(cluster.LSN) bool) (cluster.LSN, error) {
	return p.stopTold(ctx, cluster.StopFast, checkpoint, shutDown)
}

func (p *postgres) stopTold(ctx context.Context, mode cluster.StopMode, checkpoint bool, shutDown func(cluster.LSN) bool) (cluster.LSN, error) {
	defer p.act(cluster.StateStopping)()
	p.stop(ctx, mode, checkpoint, shutDown)
	p.s.state = cluster.StateStopped
	if p.s.control == "shut down" {
		return p.s.pos.lsn, nil
	}
	return 0, nil
}

func (p *postgres) stop(ctx context.Context, mode cluster.StopMode, checkpoint bool, shutDown func(cluster.LSN) bool) {
	s := p.s
	life := s.life
	runs := func() bool { return s.phase != phaseDown && s.life == life }
	if runs() && mode == cluster.StopFast {
		if checkpoint && s.phase == phaseServing {
			s.w.sleep(s.w.between(10*time.Millisecond, 400*time.Millisecond))
		}
		look := s.w.now + 250*time.Millisecond
		for runs() && ctx.Err() == nil {
			s.fastStop()
			s.w.sleep(5 * time.Millisecond)
			if shutDown == nil || s.w.now < look || !s.written || !runs() {
				continue
			}
			p.over, look = life, s.w.now+250*time.Millisecond
			if shutDown(s.pos.lsn) {
				s.w.mark(stopGoesOn)
				shutDown = nil
			}
		}
	}
	if runs() {
		s.w.sleep(s.w.between(5*time.Millisecond, 60*time.Millisecond))
		if mode != cluster.StopKill && s.w.chance(10) {
			s.w.sleep(2 * time.Second) // the grace after SIGQUIT
		}
	}
	s.kill()
}
