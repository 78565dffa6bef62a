package explain

import (
	"math"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// suppose changes an observation into one that might be. Observations share their views, so a view is copied before
// it is changed.
type suppose func(*ha.Observation)

func supposing(o ha.Observation, changes ...suppose) ha.Observation {
	view := *o.Store.View
	o.Store.View = &view
	for _, c := range changes {
		c(&o)
	}
	return o
}

// leaderDied: the leader key is gone and its holder does not answer; etcd does, or nobody could take the key.
// Without a leader everything stays as it is.
func leaderDied(leader string) suppose {
	return func(o *ha.Observation) {
		o.Store.FailingSince = 0
		if leader == "" {
			return
		}
		o.Store.View.Leader = cluster.Leader{}
		o.Store.LockProven = 0
		o.Memory.UnlockedSince, o.Memory.FormerLeader = o.Now, leader
		o.Server.ReceiverStatus = ""
	}
}

// asked: all other members have just been asked and gave these answers; one that is dead, or not among them,
// gave none.
func asked(answers []Answer, dead string) suppose {
	return func(o *ha.Observation) {
		o.Peers = map[string]ha.Peer{}
		reply := func(s cluster.PeerStatus) {
			if s.Name != o.Self.Name {
				o.Peers[s.Name] = ha.Peer{PeerStatus: s, Asked: o.Now, SyncRevision: o.Store.View.Sync.Revision}
			}
		}
		for _, m := range o.Store.View.Members {
			reply(cluster.PeerStatus{Name: m.Name, Error: "not asked"})
		}
		for _, a := range answers {
			if a.Member.Name != dead {
				reply(a.status())
			}
		}
	}
}

// requested: somebody has asked the leader to hand over, so long ago that it no longer waits for a replica that has
// lost its connection.
func requested(candidate string) suppose {
	return func(o *ha.Observation) {
		const revision = math.MaxInt64 // no request that was ever refused
		o.Store.View.Failover = cluster.FailoverRequest{Leader: o.Self.Name, Candidate: candidate, Revision: revision}
		o.Memory.RequestRevision, o.Memory.RequestSince = revision, o.Now.Add(-o.Settings.LoopWait)
	}
}
