package metrics

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// Meter counts the turns of one agent. Turn belongs to the loop; it may be collected at the same time.
type Meter struct {
	decisions *prometheus.CounterVec
	turns     prometheus.Histogram
	takeovers *prometheus.HistogramVec

	last       string        // leader of the last view; empty if nobody led
	asked      bool          // a user had asked for a change when that leader was last seen
	since      clock.Instant // when another leader was first seen to be gone; zero: none is
	switchover bool          // since began with a request of a user
}

// New makes a meter that has counted nothing.
func New() *Meter {
	return &Meter{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hathi_decisions_total", Help: "Decisions of the loop, by the action and the rule that led to it.",
		}, []string{"action", "rule"}),
		turns: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "hathi_turn_duration_seconds", Help: "How long a turn of the loop takes: observe, decide, act.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		takeovers: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hathi_takeover_duration_seconds",
			Help: "From the moment this member sees that the leader has given up or lost the lock until its own server accepts " +
				"writes; kind is failover, or switchover if somebody asked for it.",
			Buckets: []float64{.05, .1, .2, .3, .5, .75, 1, 2, 3, 5, 10, 30, 60},
		}, []string{"kind"}),
	}
}

// Turn counts one turn of the loop of member name.
func (m *Meter) Turn(name string, o ha.Observation, d ha.Decision, took time.Duration) {
	rule := ""
	if len(d.Reasons) > 0 {
		rule = d.Reasons[0].Rule
	}
	m.decisions.WithLabelValues(strings.TrimPrefix(fmt.Sprintf("%T", d.Action), "ha."), rule).Inc()
	m.turns.Observe(took.Seconds())
	m.follow(name, o)
}

// follow measures takeovers by what the turns see. The time that another member needs is that member's to tell.
func (m *Meter) follow(name string, o ha.Observation) {
	v := o.Store.View
	if v == nil {
		return
	}
	leader := v.Leader.Name
	switch {
	case leader != "" && leader != name: // somebody else leads: nothing to measure, or no more
		m.since, m.asked = 0, v.Failover.Pending()
	case m.last != "" && m.last != name: // gone since the last turn
		m.since, m.switchover = o.Now, m.asked || v.Failover.Pending()
	}
	m.last = leader
	if m.since != 0 && leader == name && o.Server.IsPrimary() {
		kind := "failover"
		if m.switchover {
			kind = "switchover"
		}
		m.takeovers.WithLabelValues(kind).Observe(o.Now.Sub(m.since).Seconds())
		m.since = 0
	}
}

// Describe implements prometheus.Collector.
func (m *Meter) Describe(to chan<- *prometheus.Desc) {
	for _, c := range []prometheus.Collector{m.decisions, m.turns, m.takeovers} {
		c.Describe(to)
	}
}

// Collect implements prometheus.Collector.
func (m *Meter) Collect(to chan<- prometheus.Metric) {
	for _, c := range []prometheus.Collector{m.decisions, m.turns, m.takeovers} {
		c.Collect(to)
	}
}
