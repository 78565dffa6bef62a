package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// CrashRecovery implements agent.Postgres.
func (p *postgres) CrashRecovery(ctx context.Context) error {
	s := p.s
	if s.phase != phaseDown {
		return errors.New("crash recovery: postgres runs")
	}
	if err := s.usable(); err != nil {
		return err
	}
	s.kill()
	if err := s.w.sleepContext(ctx, s.w.between(200*time.Millisecond, 2*time.Second)); err != nil {
		return err
	}
	s.standby, s.control, s.state = false, "shut down", cluster.StateStopped
	s.pos.lsn += 120
	s.checkpoint = s.pos.branch.timeline
	return nil
}

// CheckDivergence implements agent.Postgres.
func (p *postgres) CheckDivergence(ctx context.Context, leader cluster.Upstream) (cluster.Divergence, error) {
	s := p.s
	u, err := p.reach(ctx, leader, true)
	if err != nil {
		return cluster.Divergence{}, err
	}
	return cluster.Divergence{
		Needed: !s.pos.within(u.pos), LeaderTimeline: u.pos.branch.timeline,
		LocalTimeline: s.pos.branch.timeline, LocalLSN: s.pos.lsn,
	}, nil
}

// Rewind implements agent.Postgres.
func (p *postgres) Rewind(ctx context.Context, leader cluster.Upstream) error {
	s := p.s
	if u, err := p.reach(ctx, leader, true); err != nil {
		return err
	} else if t := s.pos.branch.timeline; t == u.pos.branch.timeline && s.pos.branch != u.pos.branch {
		return fmt.Errorf("rewind: timeline %d has two different histories", t) // pg_rewind would find nothing to do
	}
	if err := s.usable(); err != nil {
		return err
	}
	if s.foreign != "" {
		return errors.New("rewind: source and target clusters are from different systems")
	}
	p.stop(ctx, cluster.StopFast, false, nil)
	if err := s.beginRewind(); err != nil {
		return err
	}
	if err := s.w.sleepContext(ctx, s.w.between(200*time.Millisecond, copyTime/2)); err != nil {
		return err
	}
	if err := s.cutRewind(); err != nil {
		return err
	}
	u, err := p.hear(ctx, leader, true, muteCopy)
	if err != nil {
		return err
	}
	if u.checkpoint != u.pos.branch.timeline {
		return fmt.Errorf("rewind: the leader's checkpoint is on timeline %d", u.checkpoint)
	}
	s.w.check.removed(s)
	s.pos = s.pos.until(s.pos.shared(u.pos))
	s.dataFrom(s.walFrom) // it leaves no slot
	s.rewindCut = false
	s.standby, s.control, s.upstream, s.state = true, "in archive recovery", cluster.Upstream{}, cluster.StateStopped
	s.checkpoint, s.heard = u.checkpoint, u.heard
	return nil
}
