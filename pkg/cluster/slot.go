package cluster

// Slot is one replication slot of a server.
type Slot struct {
	Name, Type, Database, Plugin string
	Active                       bool
	RestartLSN, ConfirmedLSN     LSN
	XMin, CatalogXMin            uint32
	WALStatus                    string
	// Unproven: a logical slot of a standby of which it is not known that the primary has kept, ever since, the rows
	// of its catalogs that the slot needs. It may not be usable after a promotion.
	Unproven bool
	// Synced: a failover slot that the server itself keeps as it is on its primary.
	Synced bool
}

// Position is how far the consumer of the slot has come; zero: unknown.
func (s Slot) Position() LSN { return max(s.RestartLSN, s.ConfirmedLSN) }

// Lost reports whether the WAL that the slot is for has been removed, so that nobody can stream from it any more.
func (s Slot) Lost() bool { return s.WALStatus == "lost" }

// PermanentSlot is a replication slot that the cluster keeps although no member uses it.
type PermanentSlot struct {
	Logical          bool
	Database, Plugin string // of a logical one
	// ClusterType says of which kind of cluster a physical one is: primary or standby; empty: of both.
	ClusterType string
}

// SlotMatcher names slots to be left alone; empty fields match everything.
type SlotMatcher struct{ Name, Type, Database, Plugin string }

// Matches reports whether a slot is one of those.
func (m SlotMatcher) Matches(s Slot) bool {
	return (m.Name == "" || m.Name == s.Name) && (m.Type == "" || m.Type == s.Type) &&
		(m.Database == "" || m.Database == s.Database) && (m.Plugin == "" || m.Plugin == s.Plugin)
}

// SlotPlan is what is to be done with the replication slots of one server: first dropped, then created. A name in both
// gives up what its slot holds.
type SlotPlan struct {
	Create  []string // physical, with WAL reserved
	Drop    []string // of any kind
	Advance map[string]LSN
}

// Empty reports whether nothing is to be done.
func (p SlotPlan) Empty() bool { return len(p.Create)+len(p.Drop)+len(p.Advance) == 0 }

// LogicalSlotPlan is what is to be done with logical slots, and may take long.
type LogicalSlotPlan struct {
	Create  map[string]PermanentSlot // on a primary
	Advance map[string]LSN           // on a standby
	// Prove are slots of a standby of which is to be found out whether they can be used after a promotion. Leader is
	// asked for that, and Through is its physical slot by which the standby, or the head of its cascade, streams.
	Prove   []string
	Leader  Upstream
	Through string
}

// Empty reports whether nothing is to be done.
func (p LogicalSlotPlan) Empty() bool { return len(p.Create)+len(p.Advance)+len(p.Prove) == 0 }
