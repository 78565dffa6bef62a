package structure

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// lines are what users of Patroni 4.1 grep its log for; % stands for what varies. Each is written here too, or the
// differences say that it never is.
var lines = []string{
	// start, etcd
	"Can't start; there is already a node named '%' running", "waiting on etcd", "Can not get cluster from dcs",
	"Error communicating with DCS", "DCS is not accessible", "Error communicating with PostgreSQL. Will try again later",
	"Unexpected exception raised, please report it as a BUG", "establishing a new patroni heartbeat connection to postgres",
	"Loop time exceeded, rescheduling immediately.", "Lock owner: ", "; I am ", "continue to run as a leader because failsafe mode is enabled and all members are accessible",
	// at rest
	"no action. I am (%), the leader with the lock", "no action. I am (%), a secondary, and following a leader (%)",
	"no action. I am (%), the standby leader with the lock", "no action. I am (%), a secondary, and following a standby leader (%)",
	"continue to run as primary without lock", "postgres is not running", "continue following the old known standby leader",
	// actions
	"updated leader lock during %", "% in progress", "lost leader before promote", "Demoting primary during %", "lost leader lock during ",
	"terminated crash recovery because of startup timeout", "%: demote", "demoting to a standby cluster", "starting primary after failure",
	"restarting after failure", "changing primary_conninfo and restarting", "starting after demotion", "copy_logical_slots",
	"doing crash recovery in a single user mode", "running pg_rewind from %", "reinitializing due to diverged timelines",
	"Failed to run % is already in progress",
	// data
	"released leader key voluntarily as data dir % and currently leader", "data directory is not accessible: %", "running with empty data directory",
	"failed to acquire initialize lock", "trying to bootstrap a new standby leader", "trying to bootstrap a new cluster", "bootstrap from leader",
	"from replica '", "trying to bootstrap from % '%'", "trying to bootstrap (without leader)", "waiting for leader to bootstrap",
	"waiting for standby_leader to bootstrap", "bootstrapped ", "failed to bootstrap ", "removing initialize key after failed attempt to bootstrap the cluster",
	"waiting for end of recovery after bootstrap", "running post_bootstrap", "initialized a new cluster", "Failed to bootstrap cluster",
	// identity
	"data dir for the cluster is not empty, but system ID is invalid; consider doing reinitialize",
	"system ID has changed while in paused mode. Patroni will exit when resuming unless system ID is reset: % != %",
	"released leader key voluntarily due to the system ID mismatch", "system ID mismatch, node ", " belongs to a different cluster: ",
	"No initialize key in DCS and PostgreSQL is running as replica, aborting start", "Please first start Patroni on the node running as primary",
	// a server that is down, or starts
	"removed leader lock because postgres is not running", "Postgresql is not running.", "Primary crashed. Failing over.",
	"stopped PostgreSQL to fail over after a crash", "starting as readonly because i had the session lock",
	"starting as a standby leader because i had the session lock", "trying to follow a remote member because standby cluster is unhealthy",
	"starting as a secondary", "removed leader key after trying and failing to start postgres", "failed to start postgres",
	"Lost lock while starting up. Demoting self.", "stopped PostgreSQL while starting up because leader key was lost",
	"stopped PostgreSQL because of startup timeout", "primary start has timed out, but continuing to wait because failover is not possible",
	"PostgreSQL is still starting up, % seconds until timeout", "Still starting up as a standby.",
	// the race
	"following new leader after trying and failing to obtain lock", "demoted self after trying and failing to obtain lock",
	"Cleaning up failover key after acquiring leader lock...", "Updating failover key after acquiring leader lock...",
	"promoted self to a standby leader by acquiring session lock", "acquired session lock as a leader", "Could not take out TTL lock",
	"promoted self to leader by acquiring session lock", "backoff: skip leader race after pre_promote script failure and releasing the lock voluntarily",
	"My timeline % is behind last known cluster timeline %", "Watchdog device is not usable", "Got response from ", "Request failed to ",
	"My wal position exceeds maximum replication lag", "Can not figure out my timeline", "Primary (%) is still alive",
	"Wal position of % is ahead of my wal position", "Ignoring the former leader being ahead of us",
	"% has equally tolerable WAL position and priority %, while this node has priority %",
	"Ignoring former leader % having priority % higher than this nodes % priority", "Got quorum vote from %", "not healthy enough for leader race",
	"%: removing failover key because failover candidate is not running", "%: to %, i am %",
	"following a different leader because i am not the healthiest node", "following a different leader because I am not allowed to promote",
	"demoting self because i am not the healthiest node", "demoting self because I am not allowed to become primary",
	// the leader
	"waiting to become primary after promote...", "removed leader lock because postgres is not running as primary", "failed to update leader lock",
	"not promoting because failed to update leader lock in DCS", "continue to run as primary after failing to update leader lock in DCS",
	"demoted self because failed to update leader lock in DCS", "promoted self to a standby leader because i had the session lock",
	"promoted self to leader because I had the session lock", "demoting self because I do not have the lock and I was a leader",
	"cannot be a real primary in a standby cluster", "Demoting self because watchdog could not be activated",
	"Not promoting self because watchdog could not be activated", "Releasing the leader key voluntarily because the pre-promote script failed",
	"Promotion cancelled because the pre-promote script failed", "Postponing promotion because synchronous replication state was updated by somebody else",
	"Resuming paused WAL replay for PostgreSQL 14+",
	// rewind and demotion
	"Local timeline=% lsn=%", "primary_timeline", "Waiting for checkpoint on % before rewind", "Demoting self (%)", "Leader key released",
	"Timeout during postmaster stop, aborting Postgres.", "demoting self because DCS is not accessible and I was a leader",
	"demoted self because DCS is not accessible and I was a leader", "Leader key is not deleted and Postgresql is not stopped due paused state",
	"PostgreSQL shutdown failed, leader key not removed.", " Leaving watchdog running.",
	"Failed to archive WAL file with the shutdown checkpoint", "Not archiving latest checkpoint WAL file. Archiving is not configured.",
	// what users ask for
	"%: leader name does not match: % != %", "%: I am already the leader, no need to %", "% is possible only to a specific candidate in a paused state",
	"%: demoting myself", "%: no healthy members found, % is not possible", "Quorum requirement % can not be reached", "Member % is %",
	"Member % exceeds maximum replication lag", "Timeline % of member % is behind the cluster timeline %", ": candidates list is empty",
	" does not match with sync_standbys=", "Awaiting % at % (in % seconds)", "Found a stale % value, cleaning up: %", "Manual scheduled % at %",
	"restart conditions are not satisfied", "not proceeding with the restart: ", "restarted successfully", "postgres is still starting", "restart failed",
	"Cancelling scheduled restart: postgres restart has already happened at ", "Cluster has no leader, can not reinitialize",
	"I am the leader, can not reinitialize", " already in progress",
	// synchronous mode
	"Enabled synchronous replication", "Disabled synchronous replication", "Updating sync state failed",
	"Inconsistent state between synchronous_standby_names = ", "Updating synchronous privilege temporarily from % to %", "No standbys available!",
	"Assigning synchronous standby status to ", "Synchronous standby status assigned to ", "Synchronous replication key updated by someone else.",
	"Waiting for primary to release us from synchronous standby", "Setting leader to %, quorum to % of % (%)",
	"Setting synchronous replication to % of % (%)", "Replication factor % requested, but % synchronous standbys available. Commits will be delayed.",
	// slots and the watchdog
	"Copying logical slots % from the primary", " is safe to be used after a failover", "Logical replication slots that might be unsafe to use after promote: ",
	"Following cluster members share a replication slot name: ", "Replication slot '%' for absent cluster member is expired after % sec.",
	" activated with % second timeout, timing slack % seconds", "Watchdog not supported because leader TTL % is less than 2x loop_wait %",
	"Watchdog timeout % seconds does not ensure safe termination within % seconds",
	"Configuration requires watchdog, but watchdog could not be configured.",
}

func TestLines(t *testing.T) {
	differences, err := os.ReadFile(filepath.Join("..", "..", "docs", "differences-from-patroni.md"))
	if err != nil {
		t.Fatal(err)
	}
	written := literals(load(t))
	for _, line := range lines {
		if !anyHas(written, line) && !anyHas(strings.Split(string(differences), "\n"), line) {
			t.Errorf("%q is neither in the source nor in the differences from Patroni", line)
		}
	}
	for _, line := range []string{"promoted self to leader because % lines", "Member is %"} {
		if anyHas(written, line) {
			t.Errorf("%q was found, although nobody writes it", line)
		}
	}
}

// literals gives all text in what ships. The simulator's model of Patroni has lines of its own.
func literals(tree []*source) (texts []string) {
	for _, s := range tree {
		if s.test() || !strings.HasPrefix(s.path, "pkg/") || strings.HasPrefix(s.path, "pkg/sim/") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, _ := strconv.Unquote(lit.Value)
				texts = append(texts, text)
			}
			return true
		})
	}
	return texts
}

// anyHas reports whether one of the texts has the parts of a line in their order.
func anyHas(texts []string, line string) bool {
	for _, text := range texts {
		rest, ok := text, true
		for _, part := range strings.Split(line, "%") {
			if ok {
				_, rest, ok = strings.Cut(rest, part)
			}
		}
		if ok {
			return true
		}
	}
	return false
}
