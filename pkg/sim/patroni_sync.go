package sim

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha/quorum"
)

// The model of Patroni: synchronous replication (15). The names are read by the parser of package quorum.

// patroniSync is what it remembers of its names.
type patroniSync struct {
	mark  cluster.LSN // flushed when the names were last set
	ready []string    // who has come to the mark since
	taken clock.Instant
	rev   int64 // of /sync, as read or last written
	key   cluster.SyncState
}

// keepSync maintains both sides, once per cycle of a primary.
func (a *patroni) keepSync() error {
	a.sync.key, a.sync.rev = a.view.Sync, a.view.Sync.Revision
	if !a.server.Answered || a.server.InRecovery {
		return nil
	}
	switch a.settings.SynchronousMode {
	case cluster.SyncOn:
		a.keepPlain()
	case cluster.SyncQuorum:
		a.keepQuorum()
	default:
		if a.sync.rev != 0 {
			if ok, err := a.store.DeleteSync(context.Background(), a.sync.rev); err != nil || !ok {
				return nil
			}
		}
		a.sync.ready, a.sync.mark = nil, 0
		if a.server.OwnSynchronousNames {
			_ = a.pg.SetSynchronousNames(context.Background(), nil)
		}
	}
	return nil
}

// putSync writes /sync over the revision that was read, or without a compare if there was none.
func (a *patroni) putSync(key cluster.SyncState) bool {
	rev := a.sync.rev
	holds := func(e *etcd) bool { return e.revision(dcs.KeySync) == rev }
	if rev == 0 {
		holds = nil
	}
	if a.write(dcs.KeySync, dcs.EncodeSync(key), 0, holds) != nil {
		return false
	}
	kv, _ := a.store.mirror.get(dcs.KeySync)
	a.sync.key, a.sync.rev = key, kv.ModRevision
	return true
}

// setNames sets synchronous_standby_names and notes how far the primary had come then.
func (a *patroni) setNames(text string) {
	if a.server.SynchronousNames == text && (text == "" || a.server.OwnSynchronousNames) {
		return
	}
	_ = a.pg.SetSynchronousNames(context.Background(), &text)
	for range 100 {
		if a.look(); a.server.SynchronousNames == text || !a.server.Answered {
			break
		}
		a.sleep(10 * time.Millisecond)
	}
	a.sync.mark = a.server.Position()
	names, _ := quorum.Parse(text)
	a.sync.ready = slices.DeleteFunc(a.sync.ready, func(n string) bool { return !names.Has(n) })
	if s := a.n.server; s.phase == phaseServing && s.primary {
		s.pos.lsn += 64 // a transaction id is used up, so that WAL moves
	}
}

// patroniNames gives a list as PostgreSQL reads it.
func patroniNames(anyOf bool, n int, list []string) string {
	all := strings.Join(list, ",")
	switch {
	case len(list) == 0:
		return ""
	case anyOf:
		return fmt.Sprintf("ANY %d (%s)", n, all)
	case len(list) == 1:
		return all
	}
	return fmt.Sprintf("%d (%s)", n, all)
}

// current is 15.2: who should be synchronous, and who is known to be.
func (a *patroni) current() (active, confirmed []string) {
	type candidate struct {
		name   string
		lsn    cluster.LSN
		listed bool
		tags   cluster.Tags
	}
	any := a.settings.SynchronousMode == cluster.SyncQuorum
	names, _ := quorum.Parse(a.server.SynchronousNames)
	var all []candidate
	for _, s := range a.server.Senders {
		m, ok := a.view.Member(s.ApplicationName)
		if !ok || s.State != "streaming" || m.State != cluster.StateRunning || m.Tags.NoSync() || s.FlushLSN == 0 {
			continue
		}
		all = append(all, candidate{m.Name, s.FlushLSN, s.SyncPriority > 0 && names.Has(m.Name), m.Tags})
	}
	slices.SortFunc(all, func(x, y candidate) int {
		return cmp.Or(
			order(!x.tags.NoFailover(), !y.tags.NoFailover()), cmp.Compare(y.tags.SyncPriority(), x.tags.SyncPriority()),
			order(x.listed, y.listed), cmp.Compare(y.lsn, x.lsn), cmp.Compare(x.name, y.name))
	})
	count := max(1, a.settings.SynchronousNodeCount)
	for _, c := range all {
		if any && c.listed && c.lsn < a.sync.mark && !a.w.weak(weakTakeOver) {
			continue
		}
		if len(active) >= count && (!any || c.tags.NoFailover()) {
			continue
		}
		active = append(active, c.name)
		was := slices.Contains(a.sync.ready, c.name) || !any && a.sync.key.HasStandby(c.name)
		if was || names.Has(c.name) && c.listed && c.lsn >= a.sync.mark {
			if !slices.Contains(a.sync.ready, c.name) {
				a.sync.ready = append(a.sync.ready, c.name)
			}
			if any || c.listed {
				confirmed = append(confirmed, c.name)
			}
		}
	}
	slices.Sort(active)
	slices.Sort(confirmed)
	return active, confirmed
}

// order puts what is true before what is not.
func order(x, y bool) int {
	switch {
	case x == y:
		return 0
	case x:
		return -1
	}
	return 1
}

// keepPlain is 15.3.
func (a *patroni) keepPlain() {
	me := a.n.name
	if key := a.sync.key; !key.LedBy(me) {
		if !a.putSync(cluster.SyncState{Leader: me}) {
			return
		}
	}
	names, _ := quorum.Parse(a.server.SynchronousNames)
	active, confirmed := a.current()
	listed := a.sync.key.Standbys
	if slices.Equal(active, listed) && !slices.Equal(listed, confirmed) {
		if !a.putSync(cluster.SyncState{Leader: me, Standbys: confirmed}) {
			return
		}
		listed = confirmed
	}
	if slices.Equal(active, listed) && slices.Equal(names.Standbys, listed) && names.Required == len(listed) && len(listed) > 0 {
		return
	}
	common := slices.DeleteFunc(slices.Clone(listed), func(n string) bool { return !slices.Contains(confirmed, n) })
	if !slices.Equal(common, listed) && !a.putSync(cluster.SyncState{Leader: me, Standbys: common}) {
		return
	}
	text := patroniNames(false, len(active), active)
	if text == "" && a.settings.SynchronousModeStrict {
		text = "*"
	}
	a.setNames(text)
	if _, confirmed = a.current(); len(active) == 0 || slices.Equal(active, confirmed) && slices.Equal(common, confirmed) {
		return
	}
	a.sleep(2 * patroniSecond)
	a.look()
	if _, confirmed = a.current(); len(confirmed) > 0 && !slices.Equal(confirmed, common) {
		a.putSync(cluster.SyncState{Leader: me, Standbys: confirmed})
	}
}

// prepareNames is the end of a bootstrap.
func (a *patroni) prepareNames() {
	if a.settings.SynchronousMode != cluster.SyncOff {
		a.setNames(a.nobody())
	}
}

// nobody is the setting without standbys.
func (a *patroni) nobody() string {
	switch {
	case !a.settings.SynchronousModeStrict:
		return ""
	case a.settings.SynchronousMode == cluster.SyncQuorum:
		return "ANY 1 (*)"
	}
	return "*"
}

// syncBeforePromotion is 15.4.
func (a *patroni) syncBeforePromotion() error {
	a.sync = patroniSync{key: a.view.Sync, rev: a.view.Sync.Revision}
	key := a.sync.key
	switch {
	case a.settings.SynchronousMode == cluster.SyncOff:
		if a.sync.rev != 0 {
			_, _ = a.store.DeleteSync(context.Background(), a.sync.rev)
		}
	case a.settings.SynchronousMode == cluster.SyncOn:
		a.setNames(a.nobody())
		if !a.putSync(cluster.SyncState{Leader: a.n.name}) {
			return errConflict
		}
	case key.Leader == "":
		a.setNames(a.nobody())
	default:
		all := patroniSet(append(slices.Clone(key.Standbys), key.Leader))
		number := len(all) - key.Quorum - 1
		if !slices.Contains(all, a.n.name) {
			number++
		}
		a.setNames(a.quorumNames(number, patroniLess(all, []string{a.n.name})))
	}
	return nil
}

// leaveSync is 15.5.
func (a *patroni) leaveSync() {
	if a.settings.SynchronousMode == cluster.SyncOff || a.view == nil || a.mine() || a.n.tags.NoSync() {
		return
	}
	a.releasing = a.now()
	a.touch()
	for end := a.now().Add(2 * a.settings.LoopWait); a.now() < end; a.sleep(2 * patroniSecond) {
		if a.load() != nil || !a.view.Sync.Has(a.n.name) {
			break
		}
		a.renewed = false
		a.touch()
	}
}
