package agent

import (
	"slices"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// TestRetainAcrossReigns: how long a member is away is counted from when this member began to lead, not from when it last saw it
// in a reign before.
func TestRetainAcrossReigns(t *testing.T) {
	a, _, _, clk := keeping(t)
	a.settings.MemberSlotsTTL = 30 * time.Minute
	led := func(created int64, status []string, members ...string) []string {
		v := &cluster.View{Leader: cluster.Leader{Present: true, Name: "a", Created: created}, Status: cluster.Status{RetainSlots: status}}
		for _, name := range members {
			v.Members = append(v.Members, cluster.Member{Name: name})
		}
		return a.retain(ha.Observation{Now: clk.Now(), Store: ha.Store{View: v}})
	}
	all := []string{"a", "b", "c"}
	for _, c := range []struct {
		name    string
		passes  time.Duration
		created int64
		members []string
		want    []string
	}{
		{"all are there", 0, 5, all, all},
		{"c was there until a moment ago, under another leader", 48 * time.Hour, 9, []string{"a", "b"}, all},
		{"c is away for less than the ttl", 20 * time.Minute, 9, []string{"a", "b"}, all},
		{"and for more", 20 * time.Minute, 9, []string{"a", "b"}, []string{"a", "b"}},
	} {
		clk.Advance(c.passes)
		if got := led(c.created, all, c.members...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v are retained, want %v", c.name, got, c.want)
		}
	}
}
