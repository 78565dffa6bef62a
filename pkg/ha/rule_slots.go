package ha

import (
	"slices"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// ruleSlots keeps the replication slots of this server as the cluster wants them: one for every member on every node
// that may become its upstream, so that no WAL is removed that a member still needs, whoever leads; those of members
// that are gone for member_slots_ttl, by the list that the leader keeps in /status; and the permanent ones. All others
// go, but for those that ignore_slots names. The work is done beside the loop.
// Source: Patroni 4.1, postgresql/slots.py.
func ruleSlots(o *Observation) *Decision {
	if !o.Server.Answered || !o.Store.View.Config.Present {
		return nil
	}
	for _, rule := range []func(*Observation) *Decision{slotsAdjust, slotsLogical, slotsCopy} {
		if d := rule(o); d != nil {
			return d
		}
	}
	return nil
}

// slotsAdjust drops, creates and advances slots.
func slotsAdjust(o *Observation) *Decision {
	m := o.Memory.Slots
	if m.Adjusting || o.Now.Before(m.AdjustAt) {
		return nil
	}
	physical, logical := wantedSlots(o), wantedLogical(o)
	var plan cluster.SlotPlan
	have := map[string]bool{}
	for _, s := range o.Server.Slots {
		want, isPhysical := physical[s.Name]
		wantLogical, isLogical := logical[s.Name]
		have[s.Name] = true
		switch mayDrop := !o.paused() && !ignored(o, s); {
		case s.Active:
			// Nobody can drop it, and who streams from it advances it.
		case !isPhysical && !isLogical:
			if mayDrop {
				plan.Drop = append(plan.Drop, s.Name)
			}
		case isPhysical != (s.Type == "physical") || isLogical && (wantLogical.Database != s.Database || wantLogical.Plugin != s.Plugin):
			plan.Drop = append(plan.Drop, s.Name) // another slot under a name that is wanted
			have[s.Name] = false
		case s.Lost():
			if mayDrop {
				plan.Drop = append(plan.Drop, s.Name)
				have[s.Name] = false
			}
		case isPhysical && !want.streams:
			renew(o, s, want, &plan)
		}
	}
	for _, s := range o.Server.FailoverSlots {
		have[s.Name] = true
		// A primary that has become a standby still has its own, beside which the server makes no copy of the new
		// primary's.
		if _, ours := logical[s.Name]; ours && o.Server.InRecovery && o.other() && !s.Synced && !s.Active && !o.paused() {
			plan.Drop = append(plan.Drop, s.Name)
		}
	}
	for _, name := range sortedKeys(physical) {
		if !have[name] {
			plan.Create = append(plan.Create, name)
		}
	}
	if plan.Empty() {
		return nil
	}
	return act(SyncSlots{Plan: plan}, "slots", "adjusting replication slots")
}

// renew treats a slot that is kept here for a member that streams from another one: it goes forward with the member,
// and must hold back neither the removal of dead rows nor nothing at all.
func renew(o *Observation, s cluster.Slot, want memberSlot, plan *cluster.SlotPlan) {
	here := o.Server.FlushLSN
	if o.Server.InRecovery {
		here = o.Server.ReplayLSN
	}
	to := min(want.position, here)
	switch {
	case (s.XMin != 0 || s.CatalogXMin != 0) && (o.other() || o.Server.IsPrimary()), s.RestartLSN == 0:
		plan.Drop, plan.Create = append(plan.Drop, s.Name), append(plan.Create, s.Name)
	case to > s.RestartLSN && !o.Now.Before(o.Memory.Slots.AdvanceAt):
		put(&plan.Advance, s.Name, to)
	}
}

// memberSlot is a physical slot that this server is to have.
type memberSlot struct {
	streams  bool        // it is used here, by a member or by a consumer of the user's
	position cluster.LSN // where its user is, as far as it is known
}

// wantedSlots are the physical slots that this server is to have.
func wantedSlots(o *Observation) map[string]memberSlot {
	want := map[string]memberSlot{}
	if !o.Settings.UseSlots {
		return want
	}
	retained, at := o.Store.View.Status.RetainSlots, slotPositions(o)
	for _, m := range o.Store.View.Members {
		if m.Name == o.Self.Name || m.Tags.NoStream() || !slotHere(o, m) {
			continue
		}
		name := cluster.SlotName(m.Name)
		s := memberSlot{streams: streamsHere(o, m), position: at[name]}
		if m.Tags.ReplicateFrom() != "" {
			s.position = max(s.position, m.XLogLocation) // the leader's own slot for it does not tell
		}
		want[name] = s
	}
	if o.Self.Tags.NoFailover() {
		return want
	}
	for _, name := range retained {
		if _, ok := want[name]; !ok {
			want[name] = memberSlot{position: at[name]}
		}
	}
	for name, p := range o.Settings.PermanentSlots {
		if _, ok := want[name]; !ok && !p.Logical && fitsCluster(o, p) {
			want[name] = memberSlot{streams: o.mine(), position: at[name]}
		}
	}
	delete(want, cluster.SlotName(o.Self.Name))
	return want
}

// slotPositions are how far the consumers of the leader's slots have come; none while nobody knows. What the leader before
// has published is of its own timeline: of this one no consumer needs to have anything yet, and a slot that is advanced by
// it would skip what was written since the promotion.
func slotPositions(o *Observation) map[string]cluster.LSN {
	if v := o.Store.View; v.Status.Revision >= v.Leader.Revision {
		return v.Status.Slots
	}
	return nil
}

func fitsCluster(o *Observation, p cluster.PermanentSlot) bool {
	return p.ClusterType == "" || (p.ClusterType == "standby") == o.standbyCluster()
}

// slotHere reports whether this node keeps a slot for the member.
func slotHere(o *Observation, m cluster.Member) bool {
	if o.Settings.MemberSlotsTTL > 0 && !o.Self.Tags.NoFailover() {
		return true
	}
	return streamsHere(o, m)
}

// streamsHere reports whether the member is to stream from this node.
func streamsHere(o *Observation, m cluster.Member) bool {
	from := m.Tags.ReplicateFrom()
	switch {
	case from == o.Self.Name:
		return m.Name != o.Store.View.Leader.Name
	case o.mine() && !o.Self.Tags.NoFailover():
		up, known := o.Store.View.Member(from)
		return from == "" || !known || astray(o, up)
	}
	return false
}

func ignored(o *Observation, s cluster.Slot) bool {
	return slices.ContainsFunc(o.Settings.IgnoreSlots, func(m cluster.SlotMatcher) bool { return m.Matches(s) })
}

// wantedLogical are the logical slots that this server is to have. A member that gets no feedback through to the
// primary can't keep one.
func wantedLogical(o *Observation) map[string]cluster.PermanentSlot {
	want := map[string]cluster.PermanentSlot{}
	if !o.Settings.UseSlots || o.standbyCluster() || o.Self.Tags.NoFailover() || head(o) == "" {
		return want
	}
	physical := wantedSlots(o)
	for name, p := range o.Settings.PermanentSlots {
		if _, taken := physical[name]; p.Logical && !taken && name != cluster.SlotName(o.Self.Name) {
			want[name] = p
		}
	}
	return want
}

// head is the member by whose slot on the leader this one gets its WAL: itself, or the first of its cascade. It is
// empty if there is a member without streaming between them, or they go round in a ring.
func head(o *Observation) string {
	name, tags := o.Self.Name, o.Self.Tags
	for range len(o.Store.View.Members) + 1 {
		from, known := o.Store.View.Member(tags.ReplicateFrom())
		switch {
		case tags.NoStream():
			return ""
		case !known, astray(o, from), from.Name == o.Store.View.Leader.Name, name == o.Store.View.Leader.Name:
			return name
		}
		name, tags = from.Name, from.Tags
	}
	return ""
}

// slotsLogical creates the logical slots of a primary, and lets those of a replica follow them: as far as the
// primary's have come, and no further than the replica itself.
func slotsLogical(o *Observation) *Decision {
	m := o.Memory.Slots
	if m.Decoding {
		return nil
	}
	var plan cluster.LogicalSlotPlan
	want := wantedLogical(o)
	switch {
	case o.Server.IsPrimary() && o.mine() && !o.Now.Before(m.CreateAt):
		for name, p := range want {
			if !has(o.Server.Slots, name) && !has(o.Server.FailoverSlots, name) {
				put(&plan.Create, name, p)
			}
		}
	case o.Server.InRecovery && o.other() && !o.Now.Before(m.DecodeAt):
		plan = follow(o, want)
	}
	if plan.Empty() {
		return nil
	}
	return act(SyncLogicalSlots{Plan: plan}, "slots-logical", "adjusting logical replication slots")
}

func follow(o *Observation, want map[string]cluster.PermanentSlot) (plan cluster.LogicalSlotPlan) {
	leader, positions := upstreamOf(o, o.leader()), slotPositions(o)
	for _, s := range o.Server.Slots {
		if _, ours := want[s.Name]; !ours || s.Type != "logical" || s.Active || slices.Contains(o.Memory.Slots.Unusable, s.Name) {
			continue
		}
		// What is replayed is the leader's for certain only while it streams: a former primary may be on a branch of its own.
		if to := min(positions[s.Name], o.Server.ReplayLSN); to > s.ConfirmedLSN && o.Server.ReceiverStatus == "streaming" {
			put(&plan.Advance, s.Name, to)
		}
		if s.Unproven && leader.Host != "" {
			plan.Prove = append(plan.Prove, s.Name)
			plan.Leader, plan.Through = leader, cluster.SlotName(head(o))
		}
	}
	return plan
}

func put[V any](m *map[string]V, name string, v V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[name] = v
}

func has(list []cluster.Slot, name string) bool {
	return slices.ContainsFunc(list, func(s cluster.Slot) bool { return s.Name == name })
}

// slotsCopy copies logical slots of the leader that this replica lacks, all in one restart. The leader tells in
// /status which it has; it does not name there the ones that PostgreSQL 17 and later copy by themselves.
func slotsCopy(o *Observation) *Decision {
	m := o.Memory.Slots
	healthy := o.Store.FailingSince == 0 && o.other() && o.Server.InRecovery && o.Server.ReceiverStatus == "streaming"
	if !healthy || o.paused() || m.Decoding || o.Now.Before(m.CopyAt) {
		return nil
	}
	leader := upstreamOf(o, o.leader())
	missing := map[string]cluster.PermanentSlot{}
	for name, p := range wantedLogical(o) {
		there := o.Store.View.Status.Slots[name] != 0
		here := has(o.Server.Slots, name) && !slices.Contains(m.Unusable, name) || has(o.Server.FailoverSlots, name)
		if there && !here {
			missing[name] = p
		}
	}
	if len(missing) == 0 || leader.Host == "" {
		return nil
	}
	if d := leaveSync(o); d != nil {
		return d
	}
	return act(CopySlots{Leader: leader, Slots: missing}, "slots-copy",
		"Copying logical slots %s from the primary", strings.Join(sortedKeys(missing), ", "))
}

// slotsFailsafe lets the slots of a replica go forward while etcd is away and a primary goes on in failsafe mode: it tells
// with its questions how far its own have come. None is made, copied or dropped by that, for who is a member is not known
// now. Source: Patroni 4.1, ha.py, _handle_dcs_error.
func slotsFailsafe(o *Observation) *Decision {
	told := o.Memory.Failsafe
	if len(told.Slots) == 0 || !o.Now.Before(told.Promised) || o.Store.View == nil || !o.Server.Answered || !o.Server.InRecovery || o.paused() {
		return nil
	}
	view, then := *o.Store.View, *o
	if told.To != view.Leader.Name {
		return nil // a leader of before, or one that this member has not heard of
	}
	view.Status.Slots, view.Status.Revision = told.Slots, max(view.Status.Revision, view.Leader.Revision) // its own word
	then.Store.View = &view
	if d := slotsAdjust(&then); d != nil {
		if plan := (cluster.SlotPlan{Advance: d.Action.(SyncSlots).Plan.Advance}); !plan.Empty() {
			return act(SyncSlots{Plan: plan}, "slots-failsafe", "adjusting replication slots as %s tells", told.To)
		}
	}
	if d := slotsLogical(&then); d != nil {
		if plan := (cluster.LogicalSlotPlan{Advance: d.Action.(SyncLogicalSlots).Plan.Advance}); !plan.Empty() {
			return act(SyncLogicalSlots{Plan: plan}, "slots-failsafe", "adjusting logical replication slots as %s tells", told.To)
		}
	}
	return nil
}

// UnprovenSlots are the logical slots that might not be usable after a promotion of this server now: those that it
// lacks, and those that the old primary is not known to have kept everything for.
func (o *Observation) UnprovenSlots() []string {
	var names []string
	for name := range wantedLogical(o) {
		at := slices.IndexFunc(o.Server.Slots, func(s cluster.Slot) bool { return s.Name == name })
		if at < 0 && !has(o.Server.FailoverSlots, name) || at >= 0 && o.Server.Slots[at].Unproven {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// SlotConflicts says which names of slots are claimed twice, so that nobody gets what was meant.
func (o *Observation) SlotConflicts() []string {
	var said []string
	byName := map[string][]string{}
	for _, m := range o.Store.View.Members {
		name := cluster.SlotName(m.Name)
		byName[name] = append(byName[name], m.Name)
	}
	for _, name := range sortedKeys(byName) {
		if members := byName[name]; len(members) > 1 {
			said = append(said, "Following cluster members share a replication slot name: "+strings.Join(members, ", "))
		}
		if o.Settings.PermanentSlots[name].Logical {
			said = append(said, "Permanent logical slot "+name+" is ignored: it has the name of the physical slot of member "+byName[name][0])
		}
	}
	return said
}
