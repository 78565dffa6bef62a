package api

import (
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/hathi-ha/hathi/pkg/clock"
)

// writeOwn writes hathi's own metrics, which tell what Patroni's don't. They carry the labels of those.
func (s *Server) writeOwn(w io.Writer, p picture) error {
	registry := prometheus.NewRegistry()
	labelled := prometheus.WrapRegistererWith(prometheus.Labels{"scope": p.Scope, "name": p.Name}, registry)
	if err := labelled.Register(moment{p, s.o.Version}); err != nil {
		return err
	}
	if s.o.Counts != nil {
		if err := labelled.Register(s.o.Counts); err != nil {
			return err
		}
	}
	families, err := registry.Gather()
	if err != nil {
		return err
	}
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(w, f); err != nil {
			return err
		}
	}
	return nil
}

// moment is a picture as a collector.
type moment struct {
	picture
	version string
}

// Describe tells nothing beforehand: the collector lives for one answer.
func (moment) Describe(chan<- *prometheus.Desc) {}

// Collect gives the state of the node at the moment of the picture.
func (m moment) Collect(to chan<- prometheus.Metric) {
	gauge := func(name, help string, value float64, labels ...string) {
		var names, values []string
		for i := 0; i < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		to <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), prometheus.GaugeValue, value, values...)
	}
	gauge("hathi_info", "The version of hathi.", 1, "version", m.version)
	gauge("hathi_has_lock", "1 if this member provably holds the leader key.", one(m.lock))
	lease := time.Duration(0)
	if m.lock {
		lease = m.LockUntil.Sub(m.now)
	}
	gauge("hathi_lease_remaining_seconds", "How long the leader key is proven to stay ours; 0 without it.", lease.Seconds())
	gauge("hathi_lease_margin_ratio", "What is left of the lease as a part of ttl: near 0 means that renewals come too late.",
		lease.Seconds()/m.Settings.TTL.Seconds())
	lag := uint64(0)
	if m.answers() && m.Server.InRecovery {
		lag = m.Server.ReplayLSN.Behind(m.leaderLSN())
	}
	gauge("hathi_replay_lag_bytes", "Replayed position behind the leader's last known one.", float64(lag))
	gauge("hathi_last_turn_age_seconds", "Time since the loop last looked at the world.", m.age(m.Taken))
	if m.ViewConfirmed != 0 {
		gauge("hathi_view_age_seconds", "Time since etcd confirmed the view.", m.age(m.ViewConfirmed))
	}
	gauge("hathi_job_running", "1 while a long action runs.", one(m.Job != ""))
	for _, state := range []string{"armed", "disarmed", "unknown"} {
		gauge("hathi_guard_state", "What the agent knows of its guard: 1 for the state that holds.", one(m.Guard == state), "state", state)
	}
}

func (m moment) age(of clock.Instant) float64 { return m.now.Sub(of).Seconds() }

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
