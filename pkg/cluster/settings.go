package cluster

import "time"

// Settings are the rules that all members of a cluster share, from the /config key, after the range
// corrections that every member applies to its own copy. Zero durations mean "off" where a field says so.
type Settings struct {
	TTL          time.Duration // life of the leader lease
	LoopWait     time.Duration // longest rest between two turns of the loop
	RetryTimeout time.Duration // budget of one logical etcd operation

	MaximumLagOnFailover  uint64        // bytes
	MaximumLagOnSyncnode  int64         // bytes, <= 0 is off
	MaxTimelinesHistory   int           // 0 keeps all
	PrimaryStartTimeout   time.Duration // 0: fail over at once after a crash
	PrimaryStopTimeout    time.Duration // 0 is off; counts in synchronous mode only
	SynchronousMode       SynchronousMode
	SynchronousModeStrict bool
	SynchronousNodeCount  int
	FailsafeMode          bool
	CheckTimeline         bool
	Pause                 bool
	MemberSlotsTTL        time.Duration // 0: slots of absent members are dropped at once
	StandbyCluster        *StandbyCluster
	// PermanentSlots are replication slots that the cluster keeps, by name.
	PermanentSlots map[string]PermanentSlot
	IgnoreSlots    []SlotMatcher

	UseSlots    bool
	UsePgRewind bool
	// CopyWithoutLeader: a way to create replicas needs no running server, such as one from a backup.
	CopyWithoutLeader               bool
	RemoveDataDirOnRewindFailure    bool
	RemoveDataDirOnDivergedTimeline bool
}

// SynchronousMode is how commits wait for replicas.
type SynchronousMode string

// The modes of synchronous replication.
const (
	SyncOff    SynchronousMode = ""
	SyncOn     SynchronousMode = "on"
	SyncQuorum SynchronousMode = "quorum"
)

// StandbyCluster says that the whole cluster follows a remote one.
type StandbyCluster struct {
	Host                  string
	Port                  string
	PrimarySlotName       string
	CreateReplicaMethods  []string
	RestoreCommand        string
	ArchiveCleanupCommand string
	RecoveryMinApplyDelay string
}

// DefaultSettings are those of an empty /config. Source: Patroni 4.1, global_config.py.
func DefaultSettings() Settings {
	return Settings{
		TTL: 30 * time.Second, LoopWait: 10 * time.Second, RetryTimeout: 10 * time.Second,
		MaximumLagOnFailover: 1 << 20, MaximumLagOnSyncnode: -1,
		PrimaryStartTimeout: 300 * time.Second, SynchronousNodeCount: 1,
		MemberSlotsTTL: 30 * time.Minute, UseSlots: true,
	}
}
