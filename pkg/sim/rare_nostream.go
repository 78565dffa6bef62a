package sim

import (
	"errors"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Members that do not stream but restore from the archive (nostream), and members that others are copied from (clonefrom).

const (
	noStream  = "a member restores from the archive and does not stream"
	cloneFrom = "a member is copied from a replica"
)

// archived gives every cluster of such a run an archive, and one member the tag.
func (w *world) archived() {
	w.nodes[len(w.nodes)-1].tags = cluster.Tags{"nostream": true}
	w.archives()
}

// archives has whoever accepts writes archive what it has, again and again.
func (w *world) archives() {
	w.after(between(w.rare, time.Second, 5*time.Second), func() {
		for _, n := range w.nodes {
			n.server.archives()
		}
		w.archives()
	})
}

// archives puts into the archive what the server has. Of two timelines of one number that keeps the later one: a person removes
// the files of the other, upon which archive_command goes on.
func (s *server) archives() {
	if s.canAck() && !s.founding && !s.strays {
		s.w.archive = slices.DeleteFunc(s.w.archive, func(p position) bool { return p.branch.timeline == s.pos.branch.timeline })
		s.w.archive = append(s.w.archive, s.pos)
	}
}

// archivesHistory: PostgreSQL archives the history file of a new timeline before all else.
func (s *server) archivesHistory() {
	if s.w.has(noStream) {
		s.later(between(s.w.rare, 20*time.Millisecond, 200*time.Millisecond), s.archives)
	}
}

// newestArchived is the newest timeline in the archive, where every server with a restore_command looks before it takes a
// number for its own.
func (w *world) newestArchived() (newest cluster.Timeline) {
	for _, p := range w.archive {
		newest = max(newest, p.branch.timeline)
	}
	return newest
}

// restores reports whether the server takes its WAL from the archive only.
func (s *server) restores() bool {
	return s.w.has(noStream) && s.n.tags.NoStream() && s.upstream.Host == "" && s.standby
}

// fromArchive restores once: the newest timeline of the archive, if it goes on from where the server is, else its own.
func (s *server) fromArchive() time.Duration {
	s.connected = false
	if s.phase == phaseServing && !s.primary && !s.n.frozen && !s.replaying() && !s.hanging() {
		best := s.pos
		for _, p := range s.w.archive {
			if s.pos.within(p) && (p.branch.timeline == s.w.newestArchived() || p.branch == best.branch) {
				best = p
			}
		}
		if best != s.pos {
			s.w.mark("pg: WAL is restored from the archive")
			s.pos, s.heard = best, max(s.heard, best.branch.timeline)
		}
	}
	return between(s.w.rare, 200*time.Millisecond, 2*time.Second)
}

// retagStream takes the tag from a member, or gives it to one, and has its agent read it.
func (w *world) retagStream(n *node) bool {
	if w.now < w.calm || n.dead || n.tags.ReplicateFrom() != "" || slices.ContainsFunc(w.nodes, func(o *node) bool { return o.tags.ReplicateFrom() == n.name }) {
		return false
	}
	if !n.tags.NoStream() && slices.ContainsFunc(w.nodes, func(o *node) bool { return o.tags.NoStream() }) {
		return false
	}
	w.befalls(n, noStream)
	n.retag("nostream", !n.tags.NoStream())
	return true
}

// retag sets one tag of a member and has its agent read that.
func (n *node) retag(tag string, value bool) {
	tags := cluster.Tags{tag: value}
	for name, v := range n.tags {
		if name != tag {
			tags[name] = v
		}
	}
	n.tags = tags
	if a := n.agent; a != nil {
		a.p.run(a.agent.Reload)
	}
}

// offersCopies has a replica offer itself for copies.
func (w *world) offersCopies() {
	w.nodes[w.rare.IntN(len(w.nodes))].retag("clonefrom", true)
}

// cloneAnew loses the disk of a replica while another member offers itself for copies, and lets something happen to that one
// while the copy is made, or nothing.
func (w *world) cloneAnew(n *node) bool {
	i := slices.IndexFunc(w.nodes, func(o *node) bool { return o.tags.CloneFrom() })
	if i < 0 {
		w.offersCopies() // it has left the cluster
		return false
	}
	from := w.nodes[i]
	if w.active > 0 || !w.spare(n) || n == from {
		return false
	}
	w.befalls(n, cloneFrom)
	w.loseData(n, 100*time.Millisecond, 3*time.Second)
	w.after(between(w.rare, time.Second, 8*time.Second), func() {
		kind := w.rare.IntN(6)
		if !w.faulty || w.now < w.calm {
			return
		}
		switch kind {
		case 0:
			w.crashServer(from)
		case 1:
			w.severs(n, "cut off from "+from.name, 2*time.Second, 20*time.Second, [][2]int{{n.number, from.number}, {from.number, n.number}})
		case 2:
			if !from.dead && !from.frozen {
				w.loseFor(from)
			}
		}
	})
	return true
}

// behindArchive says what is missing to a healthy member that does not stream.
func (s *server) behindArchive(leader *server) error {
	switch {
	case s.connected || s.upstream.Host != "":
		return errors.New("streams from somebody")
	case s.pos.branch != leader.pos.branch || !s.pos.within(leader.pos):
		return errors.New("has not restored any WAL of the leader's timeline")
	}
	return nil
}
