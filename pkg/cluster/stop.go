package cluster

// StopMode is how a server is stopped. Source: PostgreSQL 17, 18.5, Shutting Down the Server.
type StopMode string

// The ways to stop a server.
const (
	StopFast      StopMode = "fast"      // SIGINT: disconnect clients, write a checkpoint, let replicas catch up
	StopImmediate StopMode = "immediate" // SIGQUIT: no checkpoint; recovery at the next start
	StopKill      StopMode = "kill"      // SIGKILL to the postmaster and to whatever is left of its children
)

// Divergence is the answer to whether a server's history has left its leader's.
type Divergence struct {
	Needed         bool // the server can't follow without pg_rewind
	LeaderTimeline Timeline
	LocalTimeline  Timeline
	LocalLSN       LSN
}
