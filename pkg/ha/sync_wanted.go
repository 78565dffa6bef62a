package ha

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha/quorum"
)

// syncSetting is where the primary stands.
func syncSetting(o *Observation) quorum.Setting {
	key := o.Store.View.Sync
	names, ok := quorum.Parse(o.Server.SynchronousNames)
	if !ok {
		names = quorum.Names{}
	}
	s := quorum.Setting{Key: quorumKey(key), Names: names}
	mark := o.Memory.Sync.Mark
	for _, name := range names.Standbys {
		if w, there := sender(o, name); there && mark != 0 && w.SyncPriority > 0 && w.FlushLSN >= mark {
			s.Confirmed = append(s.Confirmed, name)
		}
	}
	return s
}

// quorumKey is a state of /sync as package quorum sees it.
func quorumKey(s cluster.SyncState) quorum.Key {
	return quorum.Key{Voters: s.Standbys, Quorum: s.Quorum}
}

// syncWanted is where the primary is to go: the standbys that its commits should wait for.
// Source: Patroni 4.1, postgresql/sync.py, current_state.
func syncWanted(o *Observation) quorum.Wanted {
	candidates := syncCandidates(o)
	count := max(1, o.Settings.SynchronousNodeCount)
	chosen := candidates[:min(count, len(candidates))]
	if o.Settings.SynchronousMode == cluster.SyncQuorum {
		for _, c := range candidates[len(chosen):] {
			if !c.noFailover {
				chosen = append(chosen, c)
			}
		}
	} else {
		chosen = untilReplaced(candidates, chosen)
		count = len(chosen)
	}
	w := quorum.Wanted{Voters: make([]string, 0, len(chosen))}
	for _, c := range chosen {
		w.Voters = append(w.Voters, c.name)
	}
	slices.Sort(w.Voters)
	w.Names = quorum.Names{
		Required: min(count, len(w.Voters)), Standbys: w.Voters, Any: o.Settings.SynchronousMode == cluster.SyncQuorum,
	}
	if len(w.Voters) == 0 {
		w.Names = noStandby(o)
	}
	return w
}

// untilReplaced keeps a standby that is to be replaced by another until that one is listed, so that at no
// moment nobody could take over.
func untilReplaced(candidates, chosen []candidate) []candidate {
	if !slices.ContainsFunc(chosen, func(c candidate) bool { return !c.listed }) {
		return chosen
	}
	for _, c := range candidates[len(chosen):] {
		if c.listed {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

// candidate is a member that may be a synchronous standby.
type candidate struct {
	name       string
	priority   int
	listed     bool // in /sync already
	named      bool // in synchronous_standby_names already
	noFailover bool
	lsn        cluster.LSN
}

// syncCandidates gives the members that stream and may be synchronous, the best first. Who is synchronous
// stays so unless another has a higher priority.
func syncCandidates(o *Observation) []candidate {
	names, _ := quorum.Parse(o.Server.SynchronousNames) // a text that can't be read names nobody
	var list []candidate
	for _, m := range o.Store.View.Members {
		if m.Name == o.Self.Name || m.Tags.NoSync() || cascades(o, m) {
			continue
		}
		w, there := sender(o, m.Name)
		if !there && !(names.Has(m.Name) && returning(o, m)) {
			continue
		}
		list = append(list, candidate{
			name: m.Name, priority: m.Tags.SyncPriority(), listed: o.Store.View.Sync.HasStandby(m.Name),
			named: names.Has(m.Name), noFailover: m.Tags.NoFailover(), lsn: w.FlushLSN,
		})
	}
	list = withoutLagging(o, list)
	slices.SortFunc(list, func(a, b candidate) int {
		return cmp.Or(
			first(!a.noFailover, !b.noFailover), cmp.Compare(b.priority, a.priority), first(a.listed, b.listed),
			first(a.named, b.named), cmp.Compare(b.lsn, a.lsn), cmp.Compare(a.name, b.name))
	})
	return list
}

// first orders what is true before what is not.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// sender gives the connection of a member that streams from this server. Of several, of which all but one
// must be dead, it gives the one that has come the least far. The priority in it is set by the sender's own
// process when that has read the names.
func sender(o *Observation, name string) (least cluster.Sender, there bool) {
	for _, w := range o.Server.Senders {
		if !strings.EqualFold(w.ApplicationName, name) || w.State != "streaming" || w.FlushLSN == 0 {
			continue
		}
		if !there || w.FlushLSN < least.FlushLSN {
			least, there = w, true
		}
	}
	return least, there
}

// cascades reports whether a member is to stream from another one that is connected here.
func cascades(o *Observation, m cluster.Member) bool {
	from := m.Tags.ReplicateFrom()
	if from == "" || strings.EqualFold(from, o.Self.Name) || strings.EqualFold(from, m.Name) {
		return false
	}
	_, there := sender(o, from)
	return there
}

// returning: a server that has just started has no connections yet. Its standbys get a loop_wait to come
// back, during which commits wait for them; Patroni drops them at once, and commits are unprotected until
// they are listed again.
func returning(o *Observation, m cluster.Member) bool {
	since := o.Memory.Sync.PrimarySince
	return since != 0 && o.Now.Sub(since) < o.Settings.LoopWait && m.State == cluster.StateRunning
}

// withoutLagging leaves out who is further behind the best, or behind the primary if there is only one, than
// maximum_lag_on_syncnode allows.
func withoutLagging(o *Observation, list []candidate) []candidate {
	limit := o.Settings.MaximumLagOnSyncnode
	if limit <= 0 {
		return list
	}
	best := o.Server.FlushLSN
	if len(list) > 1 {
		best = slices.MaxFunc(list, func(a, b candidate) int { return cmp.Compare(a.lsn, b.lsn) }).lsn
	}
	return slices.DeleteFunc(list, func(c candidate) bool { return c.lsn != 0 && c.lsn.Behind(best) > uint64(limit) })
}
