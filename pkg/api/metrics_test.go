package api

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// patroniNames are all metrics of Patroni with their types. Source: rest-api.md 6.
var patroniNames = map[string]dto.MetricType{
	"patroni_version": dto.MetricType_GAUGE, "patroni_postgres_running": dto.MetricType_GAUGE,
	"patroni_postmaster_start_time": dto.MetricType_GAUGE, "patroni_primary": dto.MetricType_GAUGE,
	"patroni_xlog_location": dto.MetricType_COUNTER, "patroni_standby_leader": dto.MetricType_GAUGE,
	"patroni_replica": dto.MetricType_GAUGE, "patroni_sync_standby": dto.MetricType_GAUGE,
	"patroni_quorum_standby": dto.MetricType_GAUGE, "patroni_xlog_received_location": dto.MetricType_COUNTER,
	"patroni_xlog_replayed_location": dto.MetricType_COUNTER, "patroni_xlog_replayed_timestamp": dto.MetricType_GAUGE,
	"patroni_xlog_paused": dto.MetricType_GAUGE, "patroni_postgres_streaming": dto.MetricType_GAUGE,
	"patroni_postgres_in_archive_recovery": dto.MetricType_GAUGE, "patroni_postgres_server_version": dto.MetricType_GAUGE,
	"patroni_cluster_unlocked": dto.MetricType_GAUGE, "patroni_failsafe_mode_is_active": dto.MetricType_GAUGE,
	"patroni_postgres_timeline": dto.MetricType_GAUGE, "patroni_dcs_last_seen": dto.MetricType_GAUGE,
	"patroni_pending_restart": dto.MetricType_GAUGE, "patroni_is_paused": dto.MetricType_GAUGE,
	"patroni_postgres_state": dto.MetricType_GAUGE,
}

// whatIsRead is what Prometheus makes of an answer.
func whatIsRead(t *testing.T, body string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatalf("Prometheus can't read the answer: %v\n%s", err, body)
	}
	return families
}

func value(f *dto.MetricFamily) float64 {
	if f.GetType() == dto.MetricType_COUNTER {
		return f.GetMetric()[0].GetCounter().GetValue()
	}
	return f.GetMetric()[0].GetGauge().GetValue()
}

func TestPrometheusReadsTheMetrics(t *testing.T) {
	w := newWorld()
	w.snapshot.Scope, w.snapshot.Guard = "sh\\o\"p", "armed"
	families := whatIsRead(t, send(t, w.start(t, Settings{}), "GET", "/metrics", "").body)
	for name, kind := range patroniNames {
		f := families[name]
		if f == nil || f.GetType() != kind || len(f.GetMetric()) != 1 {
			t.Errorf("%s: %v, want one of type %s", name, f, kind)
			continue
		}
		labels := map[string]string{}
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		if want := map[string]string{"scope": "sh\\o\"p", "name": "db1"}; !maps.Equal(labels, want) {
			t.Errorf("%s has labels %q, want %q", name, labels, want)
		}
	}
	for name, want := range map[string]float64{
		"patroni_version": 40104, "patroni_xlog_location": 67393056, "patroni_primary": 1, "patroni_dcs_last_seen": 1803974999,
		"patroni_postmaster_start_time": 1803888012.104233, "hathi_has_lock": 1, "hathi_lease_remaining_seconds": 20,
		"hathi_lease_margin_ratio": 20. / 30,
	} {
		if f := families[name]; f == nil || value(f) != want {
			t.Errorf("%s: %v, want %v", name, f, want)
		}
	}
	for name := range families {
		if _, known := patroniNames[name]; !known && !strings.HasPrefix(name, "hathi_") {
			t.Errorf("%s has no prefix of ours", name)
		}
	}
	for _, m := range families["hathi_guard_state"].GetMetric() {
		state := m.GetLabel()[slices.IndexFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == "state" })].GetValue()
		if (m.GetGauge().GetValue() == 1) != (state == "armed") {
			t.Errorf("guard state %s is %v", state, m.GetGauge().GetValue())
		}
	}
}

// A server that is down has no version; two series vanish with it, as with Patroni.
func TestMetricsOfADeadServer(t *testing.T) {
	w := newWorld()
	s := &w.snapshot.Server
	s.Answered, s.Version = false, 0
	families := whatIsRead(t, send(t, w.start(t, Settings{}), "GET", "/metrics", "").body)
	for name, want := range map[string]float64{"patroni_postgres_state": -1, "patroni_postgres_running": 0, "patroni_postgres_server_version": 0} {
		if got := value(families[name]); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if families["patroni_postgres_streaming"] != nil || families["patroni_postgres_in_archive_recovery"] != nil {
		t.Error("series about the replication of a server of which nothing is known")
	}
}

// Ours follow the customs of Prometheus, of which Patroni's do not know.
func TestOwnMetricsFollowTheCustoms(t *testing.T) {
	body := send(t, newWorld().start(t, Settings{}), "GET", "/metrics", "").body
	problems, err := promlint.New(strings.NewReader(body[strings.Index(body, "# HELP hathi_"):])).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
