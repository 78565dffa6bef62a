package doctor

import (
	"fmt"
	"math"
	"time"
)

// Live is what a running cluster tells of itself.
type Live struct {
	Cluster string
	// EtcdMembers is the number of members of the etcd cluster; zero if it is not known.
	EtcdMembers int
	UsePgRewind bool
	UseSlots    bool
	Members     []LiveMember
}

// LiveMember is one member as etcd knows it, and what answers at its addresses.
type LiveMember struct {
	Name, APIURL, ConnURL string
	// APIError says why the REST API gave no answer; then the next three mean nothing.
	APIError             string
	APIScope, APIName    string
	PostmasterStartByAPI time.Time // zero: its server did not answer
	// SQLError says why there is no answer from PostgreSQL; then the rest means nothing.
	SQLError             string
	PostmasterStartBySQL time.Time
	ClockOffset          time.Duration // the server's clock ahead of ours
	ClockError           time.Duration // how wrong that may be
	Checksums, Hints     bool          // data_checksums, wal_log_hints
	SlotLimit            string        // max_slot_wal_keep_size; empty: a version that does not have it
}

// clockTolerance is a difference of clocks that nobody notices.
const clockTolerance = time.Second

// Running judges a running cluster.
func Running(l Live) []Finding {
	var found []Finding
	if l.EtcdMembers == 1 {
		found = append(found, Finding{
			Level: Risk, Where: "etcd", What: "has a single member",
			Why: "when it stops, nobody can be leader: the primary stops accepting writes (but for failsafe_mode)",
			Fix: "run three members on three machines",
		})
	}
	for _, m := range l.Members {
		found = append(found, m.addresses(l.Cluster)...)
		found = append(found, m.settings(l)...)
	}
	return append(found, clocks(l.Members)...)
}

// addresses: what answers must be the member itself.
func (m LiveMember) addresses(scope string) []Finding {
	say := func(level Level, key, what, why, fix string) []Finding {
		return []Finding{{Level: level, Where: "member " + m.Name, Key: key, What: what, Why: why, Fix: fix}}
	}
	switch {
	case m.APIError != "":
		return say(Risk, "restapi.connect_address", m.APIURL+" does not answer from here: "+m.APIError,
			"other members ask there before they take over, and load balancers for its role",
			"if the member runs, correct restapi.connect_address or the firewall")
	case m.APIName != m.Name || m.APIScope != scope:
		return say(Mistake, "restapi.connect_address", fmt.Sprintf("%s leads to member %s of cluster %s", m.APIURL, m.APIName, m.APIScope),
			"others take the answers of that member for this one's when they decide who takes over", "write this node's own address")
	case m.SQLError != "":
		return say(Risk, "postgresql.connect_address", m.ConnURL+" does not answer from here: "+m.SQLError,
			"replicas connect there when this member leads", "if the member runs, correct postgresql.connect_address, pg_hba, the password in this file, or the firewall")
	case m.PostmasterStartByAPI.IsZero() || m.PostmasterStartByAPI.Equal(m.PostmasterStartBySQL):
		return nil
	}
	return say(Mistake, "postgresql.connect_address", m.ConnURL+" leads to another server, which was started at "+m.PostmasterStartBySQL.UTC().Format(time.RFC3339),
		"replicas follow, and copy from, that server when this member leads", "write the address of this node's own PostgreSQL")
}

func (m LiveMember) settings(l Live) []Finding {
	if m.SQLError != "" {
		return nil
	}
	var found []Finding
	say := func(level Level, what, why, fix string) {
		found = append(found, Finding{Level: level, Where: "member " + m.Name, What: what, Why: why, Fix: fix})
	}
	switch {
	case l.UsePgRewind && !m.Checksums && !m.Hints:
		say(Mistake, "use_pg_rewind is on, data checksums and wal_log_hints are off", "pg_rewind refuses to work without one of them: a former primary must be copied anew",
			"set wal_log_hints: on with hathi edit-config, or run pg_checksums --enable on the stopped servers")
	case l.UsePgRewind && !m.Checksums:
		say(Hint, "data checksums are off", "damaged blocks go unnoticed, and are copied to the replicas; pg_rewind gets along with wal_log_hints",
			"run pg_checksums --enable on one stopped replica after the other, then on the former primary after a switchover")
	}
	if l.UseSlots && m.SlotLimit == "-1" {
		say(Risk, "slots have no limit (max_slot_wal_keep_size = -1)", "WAL kept for a replica that is gone can fill the disk of the primary, which then stops",
			"set max_slot_wal_keep_size with hathi edit-config to what the disk can spare, such as 50GB")
	}
	return found
}

// clocks compares each clock with that of the first member that told its own.
func clocks(members []LiveMember) []Finding {
	var found []Finding
	var first *LiveMember
	for i := range members {
		m := &members[i]
		if m.SQLError != "" || m.APIError != "" {
			continue
		}
		if first == nil {
			first = m
			continue
		}
		ahead := m.ClockOffset - first.ClockOffset
		if time.Duration(math.Abs(float64(ahead))) <= clockTolerance+m.ClockError+first.ClockError {
			continue
		}
		found = append(found, Finding{
			Level: Risk, Where: "member " + m.Name, What: fmt.Sprintf("its clock and that of %s differ by %s", first.Name, ahead.Round(time.Millisecond)),
			Why: "leases do not depend on clocks, but scheduled switchovers, recovery to a time, and whoever compares logs do", Fix: "run chrony or ntpd on all machines",
		})
	}
	return found
}
