package api

import (
	"net/http"
	"strconv"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// The documents of the whole cluster. All come from the watched view, so they are as fresh as etcd's last
// event, and are answered at once while etcd is away.

// noView is the answer before etcd was read for the first time.
func noView() reply {
	return failure(http.StatusServiceUnavailable, "etcd has not been read yet, so nothing is known of the cluster")
}

func (s *Server) cluster() reply {
	view, _ := s.o.Store.Latest()
	if view == nil {
		return noView()
	}
	snapshot := s.o.Node.Snapshot()
	members := make([]any, 0, len(view.Members))
	for _, m := range view.Members {
		members = append(members, memberObject(m, view, snapshot.Settings))
	}
	o := object{{"members", members}}
	addTrue(&o, "pause", snapshot.Settings.Pause)
	if f := view.Failover; f.Pending() && !f.ScheduledAt.IsZero() {
		planned := object{{"at", cluster.FormatISO(f.ScheduledAt)}}
		if f.Leader != "" {
			planned.add("from", f.Leader)
		}
		if f.Candidate != "" {
			planned.add("to", f.Candidate)
		}
		o.add("scheduled_switchover", planned)
	}
	o.add("scope", snapshot.Scope)
	return jsonReply(http.StatusOK, encode(o))
}

// shownRole is the role that the lock and /sync give a member, whatever it says itself.
func shownRole(m cluster.Member, view *cluster.View, settings cluster.Settings) string {
	switch {
	case m.Name == view.Leader.Name && settings.StandbyCluster != nil:
		return "standby_leader"
	case m.Name == view.Leader.Name:
		return "leader"
	case settings.SynchronousMode == cluster.SyncOn && view.Sync.HasStandby(m.Name):
		return "sync_standby"
	case settings.SynchronousMode == cluster.SyncQuorum && view.Sync.HasStandby(m.Name):
		return "quorum_standby"
	}
	return "replica"
}

func memberObject(m cluster.Member, view *cluster.View, settings cluster.Settings) object {
	role, state := shownRole(m, view, settings), string(m.State)
	if role != "leader" && m.ReplicationState != "" {
		state = m.ReplicationState
	}
	var apiURL any
	if m.APIURL != "" {
		apiURL = m.APIURL
	}
	o := object{{"name", m.Name}, {"role", role}, {"state", state}, {"api_url", apiURL}}
	if host, port := m.Address(); host != "" {
		o.add("host", host)
		if n, err := strconv.Atoi(port); err == nil {
			o.add("port", n)
		}
	}
	if m.Timeline != 0 {
		o.add("timeline", m.Timeline)
	}
	if m.PendingRestart {
		addPendingRestart(&o, m.PendingRestartReason)
		o.set("pending_restart", true)
	}
	if r := m.ScheduledRestart; r != nil {
		fields := restartFields(*r)
		var start any
		if r.PostmasterStartRaw != "" {
			start = r.PostmasterStartRaw
		}
		fields.add("postmaster_start_time", start)
		o.add("scheduled_restart", fields)
	}
	if len(m.Tags) > 0 {
		o.add("tags", m.Tags)
	}
	if m.Name != view.Leader.Name {
		addLag(&o, "receive_", m.ReceiveLSN, view.Status.Optime)
		addLag(&o, "replay_", m.ReplayLSN, view.Status.Optime)
		addLag(&o, "", m.XLogLocation, view.Status.Optime)
	}
	return o
}

func addLag(o *object, prefix string, at, leader cluster.LSN) {
	if at == 0 {
		o.add(prefix+"lag", "unknown")
		o.add(prefix+"lsn", "unknown")
		return
	}
	o.add(prefix+"lag", at.Behind(leader))
	o.add(prefix+"lsn", at.String())
}

func (s *Server) history() reply {
	view, _ := s.o.Store.Latest()
	if view == nil {
		return noView()
	}
	list := make([]any, 0, len(view.History.Entries))
	for _, e := range view.History.Entries {
		line := []any{e.Timeline, e.LSN, e.Reason}
		if e.Timestamp != "" {
			line = append(line, e.Timestamp)
			if e.NewLeader != "" {
				line = append(line, e.NewLeader)
			}
		}
		list = append(list, line)
	}
	return jsonReply(http.StatusOK, encode(list))
}
