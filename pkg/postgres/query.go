package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// monitoringQuery asks for everything in one round trip; the answer is one JSON text. Each function is
// qualified although search_path is pg_catalog: the user is a superuser. A standby asks for WAL, and only then
// has a received position, when it has replayed all that it has; where it follows nobody its startup process
// waits instead. %[1]s is the position written by
// the WAL receiver, %[2]s to %[4]s what only some versions know of slots.
const monitoringQuery = `
SELECT pg_catalog.json_build_object(
 'version', pg_catalog.current_setting('server_version_num')::int,
 'in_recovery', r.rec,
 'timeline', CASE WHEN r.rec THEN 0 ELSE
   ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
 'flush', CASE WHEN r.rec THEN NULL ELSE pg_catalog.pg_current_wal_flush_lsn() END,
 'replay', CASE WHEN r.rec THEN pg_catalog.pg_last_wal_replay_lsn() END,
 'receive', CASE WHEN r.rec THEN pg_catalog.pg_last_wal_receive_lsn() END,
 'written', %[1]s,
 'replaying', r.rec AND pg_catalog.pg_last_wal_receive_lsn() IS NULL AND NOT EXISTS (
   SELECT FROM pg_catalog.pg_stat_get_activity(NULL) AS c WHERE c.backend_type = 'startup'
   AND c.wait_event IN ('RecoveryWalStream', 'RecoveryRetrieveRetryInterval', 'RecoveryWalAll')),
 'paused', CASE WHEN r.rec THEN pg_catalog.pg_is_wal_replay_paused() ELSE false END,
 'replay_time', CASE WHEN r.rec THEN pg_catalog.pg_last_xact_replay_timestamp() END,
 'receiver', w.status, 'received_tli', CASE WHEN w.latest_end_lsn IS NULL THEN NULL ELSE w.received_tli END,
 'latest_end', w.latest_end_lsn,
 'restore_command', pg_catalog.current_setting('restore_command'),
 'conninfo', pg_catalog.current_setting('primary_conninfo'),
 'slot', pg_catalog.current_setting('primary_slot_name'),
 'started', pg_catalog.pg_postmaster_start_time(), 'conf_loaded', pg_catalog.pg_conf_load_time()::text,
 'now', pg_catalog.clock_timestamp(), 'sync_names', n.names,
 'checkpointer_idle', n.names <> '' AND EXISTS (SELECT FROM pg_catalog.pg_stat_get_activity(NULL) AS c
   WHERE c.backend_type = 'checkpointer' AND c.wait_event IN ('CheckpointerMain', 'CheckpointWriteDelay')),
 'senders', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
   'user', pg_catalog.pg_get_userbyid(a.usesysid), 'app', a.application_name, 'addr', pg_catalog.host(a.client_addr), 'state', s.state,
   'sync', s.sync_state, 'prio', s.sync_priority, 'write', s.write_lsn, 'flush', s.flush_lsn, 'replay', s.replay_lsn)
   ORDER BY a.application_name, s.pid)
   FROM pg_catalog.pg_stat_get_wal_senders() AS s JOIN pg_catalog.pg_stat_get_activity(NULL) AS a ON a.pid = s.pid),
 'slots', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
   'name', s.slot_name, 'type', s.slot_type, 'db', s.database, 'plugin', s.plugin, 'active', s.active,
   'restart', s.restart_lsn, 'confirmed', s.confirmed_flush_lsn, 'xmin', s.xmin::text, 'catalog_xmin', s.catalog_xmin::text,
   'wal_status', %[2]s) ORDER BY s.slot_name)
   FROM pg_catalog.pg_replication_slots AS s WHERE NOT s.temporary %[3]s),
 'failover_slots', %[4]s)::text
FROM (SELECT pg_catalog.pg_is_in_recovery() AS rec) AS r, pg_catalog.pg_stat_get_wal_receiver() AS w,
  (SELECT pg_catalog.current_setting('synchronous_standby_names') AS names) AS n`

// monitoring gives the monitoring query for a version.
func monitoring(version int) string {
	written, walStatus, slots, failover := "NULL", "NULL", "", "NULL"
	if tellsWritten.has(version) {
		written = "w.written_lsn"
	}
	if slotTellsWAL.has(version) {
		walStatus = "s.wal_status"
	}
	if syncsSlots.has(version) {
		slots = "AND NOT s.failover" // those belong to PostgreSQL
		failover = `(SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
   'name', s.slot_name, 'type', s.slot_type, 'db', s.database, 'plugin', s.plugin, 'active', s.active, 'synced', s.synced,
   'confirmed', s.confirmed_flush_lsn) ORDER BY s.slot_name)
   FROM pg_catalog.pg_replication_slots AS s WHERE s.failover AND NOT s.temporary)`
	}
	return fmt.Sprintf(monitoringQuery, written, walStatus, slots, failover)
}

// jsonLSN is a log position in JSON text; null is zero.
type jsonLSN struct{ LSN cluster.LSN }

func (l *jsonLSN) UnmarshalJSON(b []byte) (err error) {
	if string(b) == "null" {
		return nil
	}
	l.LSN, err = cluster.ParseLSN(strings.Trim(string(b), `"`))
	return err
}

// answer is what the monitoring query gives.
type answer struct {
	Version        int              `json:"version"`
	InRecovery     bool             `json:"in_recovery"`
	Timeline       cluster.Timeline `json:"timeline"`
	Flush          jsonLSN          `json:"flush"`
	Replay         jsonLSN          `json:"replay"`
	Receive        jsonLSN          `json:"receive"`
	Written        jsonLSN          `json:"written"`
	Replaying      bool             `json:"replaying"`
	Paused         bool             `json:"paused"`
	ReplayTime     time.Time        `json:"replay_time"`
	ReceiverStatus string           `json:"receiver"`
	ReceivedTLI    cluster.Timeline `json:"received_tli"`
	LatestEnd      jsonLSN          `json:"latest_end"`
	RestoreCommand string           `json:"restore_command"`
	Conninfo       string           `json:"conninfo"`
	Slot           string           `json:"slot"`
	Started        time.Time        `json:"started"`
	ConfLoaded     string           `json:"conf_loaded"`
	Now            time.Time        `json:"now"`
	SyncNames      string           `json:"sync_names"`
	CheckpointIdle bool             `json:"checkpointer_idle"`
	Senders        []answerSender   `json:"senders"`
	Slots          []answerSlot     `json:"slots"`
	FailoverSlots  []answerSlot     `json:"failover_slots"`

	took time.Time // when the answer came
}

type answerSender struct {
	User     string  `json:"user"`
	App      string  `json:"app"`
	Addr     string  `json:"addr"`
	State    string  `json:"state"`
	Sync     string  `json:"sync"`
	Priority int     `json:"prio"`
	Write    jsonLSN `json:"write"`
	Flush    jsonLSN `json:"flush"`
	Replay   jsonLSN `json:"replay"`
}

type answerSlot struct {
	Name        string  `json:"name"`
	Type        string  `json:"type"`
	Database    string  `json:"db"`
	Plugin      string  `json:"plugin"`
	Active      bool    `json:"active"`
	Restart     jsonLSN `json:"restart"`
	Confirmed   jsonLSN `json:"confirmed"`
	XMin        string  `json:"xmin"`
	CatalogXMin string  `json:"catalog_xmin"`
	WALStatus   string  `json:"wal_status"`
	Synced      bool    `json:"synced"`
}

func (l answerSlot) slot() cluster.Slot {
	return cluster.Slot{
		Name: l.Name, Type: l.Type, Database: l.Database, Plugin: l.Plugin, Active: l.Active,
		RestartLSN: l.Restart.LSN, ConfirmedLSN: l.Confirmed.LSN, XMin: xid(l.XMin), CatalogXMin: xid(l.CatalogXMin),
		WALStatus: l.WALStatus, Synced: l.Synced,
	}
}

// monitorName is the prepared monitoring query: to plan it takes longer than to run it.
const monitorName = "monitor"

// prepareMonitor prepares the monitoring query on a new connection.
func prepareMonitor(ctx context.Context, c *pgconn.PgConn, version int) error {
	if _, err := c.Prepare(ctx, monitorName, monitoring(version), nil); err != nil {
		return fmt.Errorf("prepare monitoring query: %w", err)
	}
	return nil
}

// ask sends the monitoring query.
func ask(ctx context.Context, c *pgconn.PgConn) (*answer, error) {
	r := c.ExecPrepared(ctx, monitorName, nil, nil, nil).Read()
	if r.Err != nil {
		return nil, fmt.Errorf("monitoring query: %w", r.Err)
	}
	a := &answer{took: time.Now()}
	if err := json.Unmarshal(r.Rows[0][0], a); err != nil {
		return nil, fmt.Errorf("monitoring query: %w", err)
	}
	return a, nil
}

// fill copies the answer into the observation.
func (a *answer) fill(s *cluster.Server) {
	s.Answered = true
	s.Version = a.Version
	s.InRecovery = a.InRecovery
	s.Timeline = a.Timeline
	s.FlushLSN = a.Flush.LSN
	s.ReceiveLSN = max(a.Receive.LSN, a.Written.LSN)
	s.ReplayLSN = a.Replay.LSN
	s.ReplayTimestamp = a.ReplayTime
	s.Replaying = a.Replaying
	s.ReplayPaused = a.Paused
	s.ReceiverStatus = a.ReceiverStatus
	s.LatestEndLSN = a.LatestEnd.LSN
	s.RestoreCommand = a.RestoreCommand
	s.PostmasterStart, s.ConfigLoaded = a.Started, a.ConfLoaded
	s.ServerTimeOffset = a.Now.Sub(a.took)
	s.SynchronousNames, s.CheckpointerIdle = a.SyncNames, a.CheckpointIdle
	if a.InRecovery {
		s.PrimaryConninfo = upstreamOf(a.Conninfo, a.Slot)
	}
	for _, w := range a.Senders {
		s.Senders = append(s.Senders, cluster.Sender{
			User: w.User, ApplicationName: w.App, ClientAddr: w.Addr, State: w.State, SyncState: w.Sync,
			SyncPriority: w.Priority, WriteLSN: w.Write.LSN, FlushLSN: w.Flush.LSN, ReplayLSN: w.Replay.LSN,
		})
	}
	for _, l := range a.Slots {
		s.Slots = append(s.Slots, l.slot())
	}
	for _, l := range a.FailoverSlots {
		s.FailoverSlots = append(s.FailoverSlots, l.slot())
	}
}

func xid(s string) uint32 {
	n, _ := strconv.ParseUint(s, 10, 32) // empty: there is none
	return uint32(n)
}

// identifySystem asks any server for its system identifier and timeline.
func identifySystem(ctx context.Context, s session) (systemID string, t cluster.Timeline, err error) {
	out, err := s.replicate(ctx, "IDENTIFY_SYSTEM")
	if err != nil {
		return "", 0, fmt.Errorf("IDENTIFY_SYSTEM on %s:%s: %w", s.to.Host, s.to.Port, err)
	}
	if len(out) != 1 || len(out[0]) < 3 {
		return "", 0, fmt.Errorf("IDENTIFY_SYSTEM on %s:%s: unexpected answer", s.to.Host, s.to.Port)
	}
	n, err := strconv.ParseUint(out[0][1], 10, 32)
	if err != nil {
		return "", 0, fmt.Errorf("IDENTIFY_SYSTEM on %s:%s: timeline %q", s.to.Host, s.to.Port, out[0][1])
	}
	return out[0][0], cluster.Timeline(n), nil
}
