package quorum

import (
	"slices"
	"strings"
)

// Key is what /sync says of a primary's standbys. The primary is not among the voters.
type Key struct {
	Voters []string // sorted
	Quorum int
}

// Equal reports whether two keys say the same.
func (k Key) Equal(l Key) bool { return k.Quorum == l.Quorum && sameSet(k.Voters, l.Voters) }

// usable reports whether a voter could ever win without the help of the primary.
func (k Key) usable() bool { return k.Quorum < max(1, len(k.Voters)) }

// Safe reports whether everybody whom the key lets win has every commit that is acknowledged under the
// names.
func Safe(k Key, n Names) bool {
	if len(k.Voters) == 0 && k.Quorum == 0 {
		return true // only the primary itself
	}
	among := max(0, n.Required-len(minus(n.Standbys, k.Voters)))
	return len(k.Voters) < k.Quorum+1+among
}

// Setting is where a primary stands: what the key says, what is in force in its server, and who has
// everything that was acknowledged before that came into force.
type Setting struct {
	Key       Key
	Names     Names
	Confirmed []string
}

// Wanted is where it is to go.
type Wanted struct {
	// Voters are the standbys that are to be listed in the key.
	Voters []string
	Names  Names
}

// Quorum is what the key has to demand in the end.
func (w Wanted) Quorum() int { return max(0, len(w.Voters)-w.Names.Required) }

// Step is the next thing to do: one of the two, or nothing for now.
type Step struct {
	Key   *Key
	Names *Names
}

// Next gives the next step on the way. The setting must be true: a key that may have been written but is
// not known to be is not one to start from. When there is nothing to do, or nothing before somebody is
// confirmed, the step is empty.
func Next(s Setting, w Wanted) Step {
	if !Safe(s.Key, s.Names) {
		// Somebody else has changed the names. Nobody can be trusted to have everything but the primary.
		return Step{Key: &Key{}}
	}
	if !s.Names.Equal(w.Names) {
		if Safe(s.Key, w.Names) {
			return Step{Names: &w.Names}
		}
		return Step{Key: makeRoom(s.Key, w)}
	}
	if k, ok := settle(s, w); ok && !k.Equal(s.Key) {
		return Step{Key: &k}
	}
	return Step{}
}

// makeRoom gives a stronger key under which the wanted names are safe.
func makeRoom(k Key, w Wanted) *Key {
	for _, voters := range [][]string{both(k.Voters, w.Voters), w.Voters} {
		// Voters that are new raise the quorum by one each, so that who wins with them also wins without.
		added := len(minus(voters, k.Voters))
		among := max(0, w.Names.Required-len(minus(w.Names.Standbys, voters)))
		next := Key{Voters: voters, Quorum: max(k.Quorum+added, len(voters)-among)}
		if len(voters) > 0 && next.usable() && Safe(next, w.Names) {
			return &next
		}
	}
	return &Key{}
}

// settle gives the key that fits the names in force, as far as that can be said now.
func settle(s Setting, w Wanted) (Key, bool) {
	holders := s.Confirmed
	if s.Key.Quorum == 0 {
		// Each voter may win alone, so each has everything.
		holders = slices.Concat(holders, s.Key.Voters)
	}
	k := Key{Voters: w.Voters}
	if w.Quorum() == 0 {
		k.Voters = both(holders, w.Voters)
		if len(k.Voters) == 0 && len(w.Voters) > 0 && s.Key.Quorum > 0 {
			return s.Key, false // wait for one to be confirmed rather than let nobody win
		}
	}
	k.Quorum = max(w.Quorum(), len(minus(k.Voters, holders)))
	stronger := k.Quorum >= s.Key.Quorum && sameSet(k.Voters, s.Key.Voters)
	return k, k.usable() && Safe(k, s.Names) && !stronger
}

// PostgreSQL compares the names of standbys without case, and so does every reader of the key.

func has(list []string, name string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, name) })
}

// minus gives those of a that are not in b.
func minus(a, b []string) []string {
	var out []string
	for _, s := range a {
		if !has(b, s) {
			out = append(out, s)
		}
	}
	return out
}

// both gives those of a that are in b, under the names that b has for them.
func both(a, b []string) []string {
	var out []string
	for _, s := range b {
		if has(a, s) && !has(out, s) {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return out
}

func sameSet(a, b []string) bool { return len(minus(a, b)) == 0 && len(minus(b, a)) == 0 }
