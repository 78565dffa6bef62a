package api

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// metric is one line of /metrics; the labels are the same for all.
type metric struct {
	name, kind, help, value string
	note                    string // a comment between HELP and TYPE
}

const stateValues = "Values: 0=initdb, 1=initdb_failed, 2=custom_bootstrap, 3=custom_bootstrap_failed, 4=creating_replica, " +
	"5=running, 6=starting, 7=bootstrap_starting, 8=start_failed, 9=restarting, 10=restart_failed, 11=stopping, " +
	"12=stopped, 13=stop_failed, 14=crashed"

// metrics answers in the exposition format. The lines of Patroni are written as Patroni writes them, with the labels in
// its order, whole numbers and the leading zero of the version: there are scripts that read them with grep and awk.
// hathi's own come from Prometheus' library.
func (s *Server) metrics() reply {
	p := s.picture()
	var b bytes.Buffer
	p.writePatroni(&b)
	if err := s.writeOwn(&b, p); err != nil {
		return failure(http.StatusInternalServerError, "could not gather the metrics: %v", err)
	}
	return reply{status: http.StatusOK, contentType: "text/plain", body: b.Bytes()}
}

func (p picture) writePatroni(b *bytes.Buffer) {
	labels := fmt.Sprintf(`{scope="%s",name="%s"}`, label(p.Scope), label(p.Name))
	for _, m := range p.patroniMetrics() {
		fmt.Fprintf(b, "# HELP %s %s\n", m.name, m.help)
		if m.note != "" {
			fmt.Fprintf(b, "# %s\n", m.note)
		}
		fmt.Fprintf(b, "# TYPE %s %s\n%s%s %s\n", m.name, m.kind, m.name, labels, m.value)
	}
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func label(s string) string { return labelEscapes.Replace(s) }

// patroniMetrics are those of Patroni, in its order; names, kinds and values are contract.
func (p picture) patroniMetrics() []metric {
	s := cluster.Server{}
	if p.answers() {
		s = p.Server
	}
	primary, replica := s.Answered && !s.InRecovery, s.Answered && s.InRecovery
	received := s.ReceiveLSN
	if received == 0 {
		received = s.ReplayLSN
	}
	list := []metric{
		gauge("patroni_version", "Version of the API, two digits for each part.", "040104"),
		gauge("patroni_postgres_running", "1 if PostgreSQL runs and answers.", flag(p.state() == cluster.StateRunning)),
		gauge("patroni_postmaster_start_time", "Start of the postmaster, seconds since 1970.", seconds(s.PostmasterStart)),
		gauge("patroni_primary", "1 on a primary.", flag(p.role() == cluster.RolePrimary)),
		counter("patroni_xlog_location", "Flushed WAL position in bytes.", number(primary, s.FlushLSN)),
		gauge("patroni_standby_leader", "1 on a standby leader.", flag(p.role() == cluster.RoleStandbyLeader)),
		gauge("patroni_replica", "1 on a replica.", flag(p.role() == cluster.RoleReplica)),
		gauge("patroni_sync_standby", "1 on a synchronous standby.", flag(p.syncStandby())),
		gauge("patroni_quorum_standby", "1 on a quorum standby.", flag(p.quorumStandby())),
		counter("patroni_xlog_received_location", "Received WAL position in bytes.", number(replica, received)),
		counter("patroni_xlog_replayed_location", "Replayed WAL position in bytes.", number(replica, s.ReplayLSN)),
		gauge("patroni_xlog_replayed_timestamp", "Time of the last replayed commit, seconds since 1970.", seconds(s.ReplayTimestamp)),
		gauge("patroni_xlog_paused", "1 if replay is paused.", flag(replica && s.ReplayPaused)),
	}
	if s.Version != 0 {
		state := s.ReplicationState()
		list = append(list,
			gauge("patroni_postgres_streaming", "1 if the replica streams.", flag(state == "streaming")),
			gauge("patroni_postgres_in_archive_recovery", "1 if the replica restores from the archive.", flag(state == "in archive recovery")))
	}
	states := gauge("patroni_postgres_state", "State of PostgreSQL.", strconv.Itoa(p.state().Index()))
	states.note = stateValues
	return append(list,
		gauge("patroni_postgres_server_version", "Version of PostgreSQL.", strconv.Itoa(s.Version)),
		gauge("patroni_cluster_unlocked", "1 if no leader is known.", flag(p.unlocked())),
		gauge("patroni_failsafe_mode_is_active", "1 if failsafe mode keeps the primary up.", flag(p.failsafe())),
		gauge("patroni_postgres_timeline", "Timeline.", strconv.Itoa(int(s.Timeline))),
		gauge("patroni_dcs_last_seen", "Last answer of etcd, seconds since 1970.", string(epoch(p.DCSLastSeen))),
		gauge("patroni_pending_restart", "1 if a setting waits for a restart.", flag(len(p.Server.PendingRestart) > 0)),
		gauge("patroni_is_paused", "1 if the cluster is paused.", flag(p.Settings.Pause)),
		states)
}

func gauge(name, help, value string) metric {
	return metric{name: name, kind: "gauge", help: help, value: value}
}

func counter(name, help, value string) metric {
	return metric{name: name, kind: "counter", help: help, value: value}
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func number(known bool, l cluster.LSN) string {
	if !known {
		return "0"
	}
	return strconv.FormatUint(uint64(l), 10)
}

// seconds gives seconds since 1970 with microseconds, 0 for no time.
func seconds(t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	return fmt.Sprintf("%d.%06d", t.Unix(), t.Nanosecond()/1000)
}
