package config

import (
	"regexp"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

var slotName = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)

// slots reads the permanent slots: the first of three names that holds any. Source: configuration.md 4.5.
func (s *section) slots() map[string]cluster.PermanentSlot {
	names := []string{"permanent_replication_slots", "permanent_slots", "slots"}
	s.ignore(names...)
	for _, name := range names {
		n := s.node.Get(name)
		if !n.truthy() {
			continue
		}
		sub := s.sub(name)
		out := map[string]cluster.PermanentSlot{}
		for _, e := range entriesOf(sub.node) {
			if slot, ok := sub.slot(e); ok {
				out[e.Key] = slot
			}
		}
		return out
	}
	return nil
}

// slot reads one permanent slot; a mistake costs that slot only.
func (s *section) slot(e Entry) (cluster.PermanentSlot, bool) {
	var slot cluster.PermanentSlot
	if !slotName.MatchString(e.Key) {
		s.c.warn(e.Value, s.key(e.Key), "ignored: a slot name has 1 to 63 of a-z, 0-9 and _")
		return slot, false
	}
	if !e.Value.truthy() {
		return slot, true
	}
	if e.Value.Kind != Map {
		s.c.warn(e.Value, s.key(e.Key), "ignored: must be a mapping with type, or empty for a physical slot")
		return slot, false
	}
	slot.Database, slot.Plugin = scalarText(e.Value.Get("database")), scalarText(e.Value.Get("plugin"))
	kind := scalarText(e.Value.Get("type"))
	slot.Logical = kind == "logical" || kind == "" && slot.Database != "" && slot.Plugin != ""
	switch {
	case kind != "" && kind != "logical" && kind != "physical":
		s.c.warn(e.Value.Get("type"), s.key(e.Key+".type"), "slot ignored: must be physical or logical")
		return slot, false
	case slot.Logical && (slot.Database == "" || slot.Plugin == ""):
		s.c.warn(e.Value, s.key(e.Key), "ignored: a logical slot needs database and plugin")
		return slot, false
	}
	if slot.Logical {
		return slot, true
	}
	slot = cluster.PermanentSlot{ClusterType: scalarText(e.Value.Get("cluster_type"))}
	if c := slot.ClusterType; c != "" && c != "primary" && c != "standby" {
		s.c.warn(e.Value.Get("cluster_type"), s.key(e.Key+".cluster_type"), "must be primary or standby; the slot is kept in both kinds of cluster")
		slot.ClusterType = ""
	}
	return slot, true
}

func (s *section) ignoreSlots(name string) []cluster.SlotMatcher {
	n := s.get(name)
	if n == nil {
		return nil
	}
	if n.Kind != List {
		s.c.fail(n, s.key(name), "must be a list of mappings")
		return nil
	}
	var out []cluster.SlotMatcher
	for _, e := range n.Items {
		m := cluster.SlotMatcher{
			Name: scalarText(e.Get("name")), Type: scalarText(e.Get("type")),
			Database: scalarText(e.Get("database")), Plugin: scalarText(e.Get("plugin")),
		}
		if m == (cluster.SlotMatcher{}) { // it would match, and so leave alone, every slot
			s.c.warn(e, s.key(name), "item ignored: it names no name, type, database or plugin")
			continue
		}
		out = append(out, m)
	}
	return out
}

func (s *section) standbyCluster(name string, before *cluster.StandbyCluster) *cluster.StandbyCluster {
	n := s.get(name)
	if n == nil {
		return nil
	}
	if n.Kind != Map {
		if n.truthy() {
			s.c.fail(n, s.key(name), "must be a mapping with host, port or restore_command; the value before it stays in force")
			return before
		}
		return nil
	}
	sub := s.sub(name)
	sc := &cluster.StandbyCluster{
		Host: sub.text("host"), Port: sub.text("port"), PrimarySlotName: sub.text("primary_slot_name"),
		CreateReplicaMethods: sub.strings("create_replica_methods"), RestoreCommand: sub.text("restore_command"),
		ArchiveCleanupCommand: sub.text("archive_cleanup_command"), RecoveryMinApplyDelay: sub.text("recovery_min_apply_delay"),
	}
	sub.done()
	if !sub.node.Get("host").truthy() && !sub.node.Get("port").truthy() && !sub.node.Get("restore_command").truthy() {
		return nil
	}
	return sc
}
