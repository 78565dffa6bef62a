package testcluster

import (
	"testing"
	"time"
)

// TestOverlap: what counts is a row that was sent to the old primary after the new one had acknowledged another.
func TestOverlap(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	ack := func(timeline int64, sent, acked int) Ack {
		return Ack{Timeline: timeline, Sent: at(sent), At: at(acked)}
	}
	for name, c := range map[string]struct {
		acks []Ack
		want int
	}{
		"one after the other":            {[]Ack{ack(1, 0, 1), ack(1, 2, 3), ack(2, 4, 5), ack(3, 6, 7)}, 0},
		"the answer was on its way":      {[]Ack{ack(1, 0, 9), ack(2, 4, 5)}, 0},
		"the old one goes on":            {[]Ack{ack(1, 0, 1), ack(2, 2, 3), ack(1, 4, 5), ack(1, 6, 7)}, 2},
		"the oldest one goes on":         {[]Ack{ack(1, 0, 1), ack(2, 2, 3), ack(3, 4, 5), ack(1, 6, 7)}, 1},
		"they take turns on timelines":   {[]Ack{ack(1, 0, 1), ack(2, 2, 3), ack(3, 4, 5), ack(4, 6, 7)}, 0},
		"a new one while the old serves": {[]Ack{ack(1, 0, 1), ack(2, 1, 4), ack(1, 3, 6)}, 0},
		"two on one timeline": {[]Ack{
			{Node: "a", Timeline: 2, Sent: at(0), At: at(1)}, {Node: "b", Timeline: 2, Sent: at(2), At: at(3)},
		}, 1},
	} {
		if got := Overlap([]*Writer{{acks: c.acks}}); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
