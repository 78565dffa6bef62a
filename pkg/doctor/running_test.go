package doctor

import (
	"strings"
	"testing"
	"time"
)

func healthy() Live {
	start := time.Date(2027, 3, 1, 8, 0, 0, 104233000, time.UTC)
	l := Live{Cluster: "shop", EtcdMembers: 3, UsePgRewind: true, UseSlots: true}
	for _, name := range []string{"db1", "db2"} {
		l.Members = append(l.Members, LiveMember{
			Name: name, APIURL: "http://" + name + ":8008/patroni", ConnURL: "postgres://" + name + ":5432/postgres", APIScope: "shop", APIName: name,
			PostmasterStartByAPI: start.In(time.FixedZone("", 3600)), PostmasterStartBySQL: start, Checksums: true, SlotLimit: "50GB",
		})
	}
	return l
}

func TestRunning(t *testing.T) {
	if found := Running(healthy()); len(found) != 0 {
		t.Errorf("found in a healthy cluster: %v", found)
	}
	for _, c := range []struct {
		name  string
		spoil func(l *Live, m *LiveMember)
		level Level
		where string
		text  string
	}{
		{"one etcd", func(l *Live, _ *LiveMember) { l.EtcdMembers = 1 }, Risk, "etcd", "single member"},
		{"another member answers", func(_ *Live, m *LiveMember) { m.APIName = "db1" }, Mistake, "member db2", "leads to member db1 of cluster shop"},
		{"another cluster answers", func(_ *Live, m *LiveMember) { m.APIScope = "blog" }, Mistake, "member db2", "of cluster blog"},
		{"no REST", func(_ *Live, m *LiveMember) { m.APIError = "refused" }, Risk, "member db2", "does not answer from here: refused"},
		{"no SQL", func(_ *Live, m *LiveMember) { m.SQLError = "refused" }, Risk, "member db2", "postgres://db2:5432/postgres does not answer"},
		{"another server", func(_ *Live, m *LiveMember) { m.PostmasterStartBySQL = m.PostmasterStartBySQL.Add(time.Second) }, Mistake, "member db2", "leads to another server"},
		{"rewind without means", func(_ *Live, m *LiveMember) { m.Checksums = false }, Mistake, "member db2", "wal_log_hints are off"},
		{"rewind by hints", func(_ *Live, m *LiveMember) { m.Checksums, m.Hints = false, true }, Hint, "member db2", "data checksums are off"},
		{"endless slots", func(_ *Live, m *LiveMember) { m.SlotLimit = "-1" }, Risk, "member db2", "slots have no limit"},
		{"clock ahead", func(_ *Live, m *LiveMember) { m.ClockOffset = 1500 * time.Millisecond }, Risk, "member db2", "clock and that of db1 differ by 1.5s"},
		{"clock behind", func(_ *Live, m *LiveMember) { m.ClockOffset = -time.Hour }, Risk, "member db2", "differ by -1h"},
	} {
		l := healthy()
		c.spoil(&l, &l.Members[1])
		found := Running(l)
		if len(found) != 1 || found[0].Level != c.level || found[0].Where != c.where || !strings.Contains(found[0].Text(), c.text) {
			t.Errorf("%s: %v, want one %s about %s with %q", c.name, found, c.level, c.where, c.text)
		}
	}
	for name, spoil := range map[string]func(l *Live, m *LiveMember){
		"a slow answer says little about a clock": func(_ *Live, m *LiveMember) { m.ClockOffset, m.ClockError = 1500*time.Millisecond, time.Second },
		"no rewind, no checksums":                 func(l *Live, m *LiveMember) { l.UsePgRewind, m.Checksums = false, false },
		"no slots":                                func(l *Live, m *LiveMember) { l.UseSlots, m.SlotLimit = false, "-1" },
		"a server that is down":                   func(_ *Live, m *LiveMember) { m.PostmasterStartByAPI = time.Time{} },
	} {
		l := healthy()
		spoil(&l, &l.Members[1])
		if found := Running(l); len(found) != 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}
