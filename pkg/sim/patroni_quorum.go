package sim

import (
	"slices"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha/quorum"
)

// The model of Patroni: quorum commit (16). The generator of transitions was written from the description and its worked
// examples are the test; package ha/quorum has another one.

// keepQuorum is 16.2.
func (a *patroni) keepQuorum() {
	me := a.n.name
	switch first := a.sync.taken != a.leadsSince; {
	case first:
		a.sync.taken = a.leadsSince
	case a.now().Sub(a.leadsSince) < a.settings.LoopWait:
		return
	}
	if a.sync.key.Leader == "" && !a.putSync(cluster.SyncState{Leader: me}) {
		return
	}
	for end := a.now().Add(a.settings.LoopWait); a.now() < end; {
		names, _ := quorum.Parse(a.server.SynchronousNames)
		if slices.Contains(names.Standbys, "*") {
			names = quorum.Names{}
		}
		active, confirmed := a.current()
		g := quorumGenerator{
			l: a.sync.key.Leader, q: a.sync.key.Quorum, v: patroniSet(a.sync.key.Standbys),
			n: names.Required, s: patroniSet(names.Standbys), c: len(confirmed), a: active,
			w: max(1, a.settings.SynchronousNodeCount), me: me,
		}
		again := false
		for _, t := range g.generate() {
			switch {
			case t.restart:
				again = true
			case t.key && a.lagging(t.set) && !a.w.weak(weakRemoval):
				return
			case t.key:
				if !a.putSync(cluster.SyncState{Leader: t.leader, Quorum: t.n, Standbys: t.set}) {
					return
				}
			default:
				a.setNames(a.quorumNames(t.n, t.set))
			}
		}
		if !again {
			return
		}
		a.sleep(patroniSecond)
		a.look()
	}
}

// lagging reports whether a member of a set streams and has not come to where the names were last set.
func (a *patroni) lagging(set []string) bool {
	return slices.ContainsFunc(a.server.Senders, func(s cluster.Sender) bool {
		return slices.Contains(set, s.ApplicationName) && s.FlushLSN < a.sync.mark
	})
}

// quorumNames is the text of a step; strict mode never lets commits through alone.
func (a *patroni) quorumNames(n int, set []string) string {
	if n == 0 || len(set) == 0 {
		if a.settings.SynchronousModeStrict {
			n = 1
			if len(set) == 0 {
				set = []string{"*"}
			}
		} else {
			return ""
		}
	}
	return patroniNames(true, n, set)
}

// quorumStep is a transition: of /sync, of the names, or a word that all is to be computed again.
type quorumStep struct {
	key     bool
	leader  string
	n       int // the quorum of the key, the number of the names
	set     []string
	restart bool
}

// quorumGenerator is 16.3; the fields have its letters.
type quorumGenerator struct {
	l    string
	q    int
	v    []string
	n    int
	s    []string
	c    int
	a    []string
	w    int
	me   string
	out  []quorumStep
	fail bool // the invariant does not hold
	done bool
}

func patroniSet(list []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

func patroniLess(x, y []string) []string {
	return slices.DeleteFunc(slices.Clone(x), func(n string) bool { return slices.Contains(y, n) })
}

func patroniBoth(x, y []string) []string {
	return slices.DeleteFunc(slices.Clone(x), func(n string) bool { return !slices.Contains(y, n) })
}

func patroniUnion(x, y []string) []string { return patroniSet(append(slices.Clone(x), y...)) }

// check is the invariant and the ranges.
func (g *quorumGenerator) check() bool {
	if len(g.v) > 0 {
		all := len(patroniUnion(patroniUnion(g.v, g.s), []string{g.l, g.me}))
		x, y := patroniUnion(g.v, []string{g.l}), patroniUnion(g.s, []string{g.me})
		if all > g.q+g.n+1 || len(patroniLess(x, y)) > 0 && len(patroniLess(y, x)) > 0 {
			g.fail = true
		}
	}
	if g.q < 0 || g.q > 0 && g.q >= len(g.v) || g.n < 0 || g.n > len(g.s) {
		g.fail = true
	}
	return !g.fail
}

func (g *quorumGenerator) setV(q int, v []string, leader string, adjust bool) {
	if g.fail || g.done {
		return
	}
	v = patroniSet(v)
	switch {
	case leader != "":
	case g.c == 0 && len(g.v) == 0:
		q, v = 0, nil
	case adjust:
		q += max(g.n-g.c, 0)
	}
	if leader == "" {
		leader = g.l
	}
	if leader == g.l && q == g.q && slices.Equal(v, g.v) {
		if len(g.v) == 0 {
			g.out = append(g.out, quorumStep{restart: true})
		}
		return
	}
	g.l, g.q, g.v = leader, q, v
	if g.check() {
		g.out = append(g.out, quorumStep{key: true, leader: leader, n: q, set: v})
	}
}

func (g *quorumGenerator) setS(n int, s []string) {
	if g.fail || g.done {
		return
	}
	g.n, g.s = n, patroniSet(s)
	if g.check() {
		g.out = append(g.out, quorumStep{n: n, set: g.s})
	}
}

// generate gives the transitions. An invariant that does not hold ends the cycle before any of them.
func (g *quorumGenerator) generate() []quorumStep {
	g.takeOver()
	g.finishInterrupted()
	if g.fail {
		return nil
	}
	g.removeGone()
	g.addNew()
	g.factor()
	if g.fail {
		return nil
	}
	var steps []quorumStep
	for _, t := range g.out {
		if n := len(steps); n > 0 && !t.restart && !steps[n-1].restart && steps[n-1].key == t.key {
			steps = steps[:n-1]
		}
		steps = append(steps, t)
		if t.restart {
			break
		}
	}
	return steps
}

// takeOver is phase 0.
func (g *quorumGenerator) takeOver() {
	if g.me != g.l {
		v := patroniUnion(patroniLess(g.v, []string{g.me}), []string{g.l})
		if len(g.s) == 0 {
			g.setS(len(v)-g.q, v)
		}
		g.setV(g.q, v, g.me, false)
		if !g.fail && len(patroniBoth(g.s, g.a)) == 0 {
			g.done = true
			return
		}
	} else {
		g.check()
	}
	if g.fail {
		g.fail = false
		g.setV(len(g.s)-g.n, g.s, g.leaderChange(), true)
	}
	if both := patroniBoth(g.s, g.a); g.c == 0 && len(both) > 0 {
		g.c = min(len(both), len(g.v)-g.q)
	}
}

// leaderChange is the new leader for a repair, if the key names another one.
func (g *quorumGenerator) leaderChange() string {
	if g.l != g.me {
		return g.me
	}
	return ""
}

// finishInterrupted is phase 1.
func (g *quorumGenerator) finishInterrupted() {
	if g.done || g.fail {
		return
	}
	switch {
	case len(patroniLess(g.s, g.v)) == 0 && len(g.s) < len(g.v):
		if dead := patroniLess(patroniLess(g.v, g.s), g.a); len(dead) > 0 {
			g.setV(len(g.v)-len(dead)-g.n, patroniLess(g.v, dead), "", len(patroniLess(g.s, g.a)) == 0)
		}
		if add := patroniLess(patroniBoth(g.v, g.a), g.s); len(add) > 0 {
			g.setS(g.n, patroniUnion(g.s, add))
		}
	case len(patroniLess(g.v, g.s)) == 0 && len(g.v) < len(g.s):
		gone := patroniLess(g.s, g.a)
		s := patroniLess(g.s, gone)
		if len(gone) > 0 && len(s) > 0 && (len(g.v) == 0 || len(patroniBoth(s, g.v)) > 0) {
			g.setS(min(g.n, len(s)), s)
		}
		if add := patroniBoth(patroniLess(g.s, g.v), g.a); len(add) > 0 {
			v := patroniUnion(g.v, add)
			g.setV(len(v)-g.n, v, "", true)
		}
		if rem := patroniLess(g.s, g.v); len(rem) > 0 {
			g.setS(min(g.n, len(g.s)-len(rem)), patroniLess(g.s, rem))
		}
	}
	if margin := g.q + min(g.n, g.c) - len(g.v); margin > 0 {
		if g.n > g.w {
			g.setS(max(g.w, len(g.v)-g.q), g.s)
		} else {
			g.setV(len(g.s)-g.n, g.v, "", true)
		}
	} else if g.n == g.w && g.q+g.n-len(g.v) > 0 && g.n > g.c {
		g.setV(len(g.s)-g.n, g.v, "", true)
	}
}

// removeGone is phase 2.
func (g *quorumGenerator) removeGone() {
	gone := patroniLess(g.s, g.a)
	switch {
	case g.done || len(gone) == 0:
	case len(gone) == len(g.s):
		g.setV(0, nil, "", false)
		g.setS(0, nil)
	default:
		if g.q > 0 {
			r := slices.Clone(gone)
			slices.Reverse(r)
			r = r[:min(g.q, len(r))]
			s, v := patroniLess(g.s, r), patroniLess(g.v, r)
			g.setS(min(max(g.n, g.w), len(s)), s)
			gone = patroniLess(gone, r)
			g.setV(len(v)-g.n, v, "", len(gone) == 0)
		}
		if len(gone) > 0 {
			n, s, v := g.n-len(gone), patroniLess(g.s, gone), patroniLess(g.v, gone)
			q := 0
			if d := n - min(g.w, len(s)); d != 0 {
				q = min(d, len(v)-1)
			}
			g.setV(q, v, "", false)
			g.setS(n, s)
		}
	}
}

// addNew is phase 3.
func (g *quorumGenerator) addNew() {
	added := patroniLess(g.a, g.s)
	if g.done || len(added) == 0 {
		return
	}
	w := min(g.w, len(patroniUnion(g.s, added)))
	if inc := w - g.n; inc > 0 {
		add := added
		if len(g.s) > 0 {
			add = added[:min(inc, len(added))]
			inc = len(add)
		}
		v := patroniUnion(g.v, add)
		g.setS(g.n+inc, patroniUnion(g.s, add))
		g.setV(len(v)-w, v, "", true)
		added = patroniLess(added, g.s)
	}
	if len(added) > 0 {
		v := patroniUnion(g.v, added)
		g.setV(len(v)-w, v, "", w > g.c)
		g.setS(w, patroniUnion(g.s, added))
	}
}

// factor is phase 4.
func (g *quorumGenerator) factor() {
	if g.done {
		return
	}
	switch d := min(g.w, len(g.s)) - g.n; {
	case d > 0:
		g.setS(g.n+d, g.s)
		g.setV(len(g.v)-g.n, g.v, "", true)
	case d < 0:
		if g.q-d < len(g.v) {
			g.setV(len(g.v)-g.n-d, g.v, "", g.w > g.c)
		}
		g.setS(g.n+d, g.s)
	}
}
