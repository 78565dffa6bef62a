package quorum

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for _, c := range []struct {
		names Names
		text  string
	}{
		{Names{}, ""},
		{Names{Required: 1, Standbys: []string{"db2"}}, `db2`},
		{Names{Required: 1, Standbys: []string{"any"}}, `"any"`},
		{Names{Required: 1, Standbys: []string{"pg-1"}}, `"pg-1"`},
		{Names{Required: 2, Standbys: []string{"db2", `o"dd`}}, `2 (db2,"o""dd")`},
		{Names{Required: 1, Standbys: []string{"a", "b"}, Any: true}, `ANY 1 (a,b)`},
		{Blocked(), `"` + Nobody + `"`},
	} {
		if got := c.names.Text(); got != c.text {
			t.Errorf("%+v is written as %s, want %s", c.names, got, c.text)
		}
		if got, ok := Parse(c.text); !ok || !got.Equal(c.names) {
			t.Errorf("%s is read as %+v (%v), want %+v", c.text, got, ok, c.names)
		}
	}
}

// TestParse reads what other people write.
func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		`a, b`: "1 of a b", `FIRST 2 (b, a, "C d")`: "2 of C d a b", `any 1(x)`: "any 1 of x", `*`: "1 of *", `  `: "0 of ",
		`"first"`: "1 of first", `1 (`: "unreadable", `"a`: "unreadable", `a b`: "unreadable", `x (a)`: "unreadable",
	} {
		n, ok := Parse(text)
		got := "unreadable"
		if ok {
			got = fmt.Sprintf("%d of %s", n.Required, strings.Join(n.Standbys, " "))
			if n.Any {
				got = "any " + got
			}
		}
		if got != want {
			t.Errorf("%q is read as %q, want %q", text, got, want)
		}
	}
}

func list(s string) []string { return strings.Fields(s) }

func key(q int, voters string) *Key { return &Key{Voters: list(voters), Quorum: q} }

func of(n int, standbys string) Names { return Names{Required: n, Standbys: list(standbys), Any: true} }

func ptr(n Names) *Names { return &n }

// TestNext goes through the situations that have a name; the examples are those of the contract (ha.md 16.4)
// where both find the same way.
func TestNext(t *testing.T) {
	for _, c := range []struct {
		what      string
		key       *Key
		names     Names
		confirmed string
		want      string // voters
		required  int
		next      Step
	}{
		{"the first standby is named", key(0, ""), of(0, ""), "", "x", 1, Step{Names: ptr(of(1, "x"))}},
		{"and not listed before it is confirmed", key(0, ""), of(1, "x"), "", "x", 1, Step{}},
		{"then it is", key(0, ""), of(1, "x"), "x", "x", 1, Step{Key: key(0, "x")}},
		{"a standby that is gone leaves the key first", key(0, "x"), of(1, "x"), "", "", 0, Step{Key: key(0, "")}},
		{"then the names", key(0, ""), of(1, "x"), "", "", 0, Step{Names: ptr(of(0, ""))}},
		{"a second one is required first", key(0, "x"), of(1, "x"), "x", "x y", 2, Step{Names: ptr(of(2, "x y"))}},
		{"and listed when it has everything", key(0, "x"), of(2, "x y"), "x", "x y", 2, Step{}},
		{"two of three, one confirmed", key(0, ""), of(2, "x y z"), "x", "x y z", 2, Step{Key: key(2, "x y z")}},
		{"two of three, all confirmed", key(2, "x y z"), of(2, "x y z"), "x y z", "x y z", 2, Step{Key: key(1, "x y z")}},
		{"a voter is added to the key first", key(1, "x y"), of(1, "x y"), "x y", "x y z", 1, Step{Key: key(2, "x y z")}},
		{"then named", key(2, "x y z"), of(1, "x y"), "x y", "x y z", 1, Step{Names: ptr(of(1, "x y z"))}},
		{"a voter is gone", key(1, "x y"), of(1, "x y"), "x", "x", 1, Step{Names: ptr(of(1, "x"))}},
		{"nobody is left", key(1, "x y"), of(1, "x y"), "", "", 0, Step{Key: key(0, "")}},
		{"more acknowledgements: names first", key(2, "x y z"), of(1, "x y z"), "x y z", "x y z", 2, Step{Names: ptr(of(2, "x y z"))}},
		{"fewer: key first", key(1, "x y z"), of(2, "x y z"), "x y z", "x y z", 1, Step{Key: key(2, "x y z")}},
		{"from each to any", key(0, "x y"), of(2, "x y"), "x y", "x y", 1, Step{Key: key(1, "x y")}},
		{"from any to one", key(1, "x y"), of(1, "x y"), "x y", "x", 1, Step{Names: ptr(of(1, "x"))}},
		{"somebody has changed the names", key(0, "x"), of(1, "y"), "y", "x", 1, Step{Key: key(0, "")}},
		{"at rest", key(1, "x y"), of(1, "x y"), "x y", "x y", 1, Step{}},
		{"at rest after the agent was restarted", key(1, "x y"), of(1, "x y"), "", "x y", 1, Step{}},
	} {
		w := Wanted{Voters: list(c.want), Names: of(c.required, c.want)}
		got := Next(Setting{Key: *c.key, Names: c.names, Confirmed: list(c.confirmed)}, w)
		if show(got) != show(c.next) {
			t.Errorf("%s: next is %s, want %s", c.what, show(got), show(c.next))
		}
	}
}

func show(s Step) string {
	switch {
	case s.Key != nil:
		return fmt.Sprintf("key %d of %v", s.Key.Quorum, s.Key.Voters)
	case s.Names != nil:
		return "names " + s.Names.Text()
	}
	return "nothing"
}

// model is a primary with its standbys, and a client that is told the worst: a commit reaches exactly those
// standbys that it has to reach.
type model struct {
	r         *rand.Rand
	position  map[string]int
	committed int
	key       Key
	names     Names
	before    Names // some process may still go by these
	settled   bool
	mark      int
	wanted    Wanted
}

func newModel(seed uint64) *model {
	m := &model{r: rand.New(rand.NewPCG(seed, 7)), position: map[string]int{}, settled: true}
	m.want()
	return m
}

// want chooses standbys, how many of them, and whether each of them is needed.
func (m *model) want() {
	var standbys []string
	for _, s := range []string{"a", "b", "c", "d"} {
		if m.r.IntN(2) == 0 {
			standbys = append(standbys, s)
		}
	}
	n := len(standbys)
	if n > 1 && m.r.IntN(3) > 0 {
		n = 1 + m.r.IntN(n)
	}
	m.wanted = Wanted{Voters: standbys, Names: Names{Required: n, Standbys: standbys, Any: true}}
	if n == 0 && m.r.IntN(2) == 0 {
		m.wanted.Names = Blocked()
	}
}

func (m *model) commit() {
	names := m.names
	if !m.settled && m.r.IntN(2) == 0 {
		names = m.before
	}
	if names.Has(Nobody) {
		return
	}
	m.committed++
	order := m.r.Perm(len(names.Standbys))
	for _, i := range order[:names.Required] {
		m.position[names.Standbys[i]] = m.committed
	}
}

func (m *model) confirmed() []string {
	var out []string
	for _, s := range m.names.Standbys {
		if m.settled && m.position[s] >= m.mark {
			out = append(out, s)
		}
	}
	return out
}

func (m *model) settle() {
	if !m.settled {
		m.settled, m.mark = true, m.committed
	}
}

// step makes the next step and reports whether there was one.
func (m *model) step() bool {
	s := Next(Setting{Key: m.key, Names: m.names, Confirmed: m.confirmed()}, m.wanted)
	switch {
	case s.Key != nil:
		m.key = *s.Key
	case s.Names != nil:
		if !m.settled && !m.names.Equal(m.before) {
			// Processes are one change behind at most: the next waits for a look at the running server.
			m.settle()
		}
		m.before, m.names, m.settled = m.names, *s.Names, false
	}
	return s.Key != nil || s.Names != nil
}

// lacking counts the voters that do not have every acknowledged commit.
func (m *model) lacking() int {
	n := 0
	for _, v := range m.key.Voters {
		if m.position[v] < m.committed {
			n++
		}
	}
	return n
}

func (m *model) String() string {
	return fmt.Sprintf("key %d of %v, names %q, wanted %q, confirmed %v, at %d %v",
		m.key.Quorum, m.key.Voters, m.names.Text(), m.wanted.Names.Text(), m.confirmed(), m.committed, m.position)
}

// TestNothingIsLost: whatever is wanted, whatever is committed between any two steps, and wherever the
// primary dies: each set of members that can make a winner has somebody with every commit.
func TestNothingIsLost(t *testing.T) {
	for seed := range uint64(3000) {
		m := newModel(seed)
		for range 200 {
			switch m.r.IntN(8) {
			case 0:
				m.want()
			case 1:
				m.settle()
			case 2:
				m.position[[]string{"a", "b", "c", "d"}[m.r.IntN(4)]] = m.committed
			case 3, 4:
				m.commit()
			default:
				m.step()
			}
			if m.lacking() > m.key.Quorum {
				t.Fatalf("seed %d: a commit can be lost: %v", seed, m)
			}
		}
	}
}

// TestArrives: when nothing changes any more and the standbys catch up, the way comes to its end.
func TestArrives(t *testing.T) {
	for seed := range uint64(3000) {
		m := newModel(seed)
		for range 30 {
			m.want()
			for range m.r.IntN(4) {
				m.step()
				m.settle()
			}
			m.commit()
		}
		steps := 0
		for {
			m.settle()
			for _, s := range m.names.Standbys {
				m.position[s] = m.committed
			}
			if !m.step() {
				break
			}
			if steps++; steps > 5 {
				t.Fatalf("seed %d: no end after %d steps: %v", seed, steps, m)
			}
		}
		want := Key{Voters: m.wanted.Voters, Quorum: m.wanted.Quorum()}
		if len(want.Voters) == 0 {
			want.Quorum = 0
		}
		if !m.key.Equal(want) || !m.names.Equal(m.wanted.Names) || !slices.IsSorted(m.key.Voters) {
			t.Fatalf("seed %d: ends with %v", seed, m)
		}
	}
}

// TestSafeIsExact compares the formula with what it stands for: each winning set meets each acknowledging
// set.
func TestSafeIsExact(t *testing.T) {
	all := []string{"a", "b", "c", "d"}
	subset := func(bits int) (out []string) {
		for i, s := range all {
			if bits&(1<<i) != 0 {
				out = append(out, s)
			}
		}
		return out
	}
	meet := func(k Key, n Names) bool {
		for win := range 16 {
			w := subset(win)
			if len(w) != k.Quorum+1 || len(minus(w, k.Voters)) > 0 {
				continue // sets with the primary in them always meet
			}
			for ack := range 16 {
				a := subset(ack)
				if len(a) == n.Required && len(minus(a, n.Standbys)) == 0 && len(both(a, w)) == 0 {
					return false
				}
			}
		}
		return true
	}
	for v := range 16 {
		for s := range 16 {
			for q := range 4 {
				for n := range len(subset(s)) + 1 {
					k, names := Key{Voters: subset(v), Quorum: q}, Names{Required: n, Standbys: subset(s)}
					if got, want := Safe(k, names), meet(k, names); got != want {
						t.Fatalf("key %v, names %v: safe %v, want %v", k, names, got, want)
					}
				}
			}
		}
	}
}
