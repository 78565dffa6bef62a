package chaos

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// kind is a kind of children of a server, and how their titles look.
type kind struct {
	name  string
	title *regexp.Regexp
}

var kinds = []kind{
	{"checkpointer", regexp.MustCompile(`^checkpointer`)},
	{"WAL writer", regexp.MustCompile(`^walwriter`)},
	{"background writer", regexp.MustCompile(`^background writer`)},
	{"archiver", regexp.MustCompile(`^archiver`)},
	{"startup process", regexp.MustCompile(`^startup`)},
	{"WAL sender", regexp.MustCompile(`^walsender`)},
	{"WAL receiver", regexp.MustCompile(`^walreceiver`)},
	{"autovacuum launcher", regexp.MustCompile(`^autovacuum launcher`)},
	{"launcher of logical replication", regexp.MustCompile(`^logical replication launcher`)},
	{"backend of a client", regexp.MustCompile(`^postgres \S+ \d`)},
	{"backend of the agent", regexp.MustCompile(`^postgres \S+ \[local\]`)}, // nobody else comes by the socket
}

// childFaults strike one child of each kind: what the postmaster does then differs, and it alone tells the agent.
func childFaults() (all []fault) {
	for _, k := range kinds {
		all = append(all, fault{k.name + " killed", func(w *world, n *testcluster.Node) func() {
			_, pid := w.child(n, k)
			testcluster.Kill(pid)
			return nil
		}}, fault{k.name + " frozen", func(w *world, n *testcluster.Node) func() {
			_, pid := w.child(n, k)
			return freeze(pid)
		}})
	}
	return all
}

// heldFaults freeze a child in the middle of what ends with the server: who waits for the end of all its processes must
// not wait for ever, nor take one that is frozen for gone.
var heldFaults = []fault{
	{"a child frozen, another one killed", func(w *world, n *testcluster.Node) func() {
		n, pid := w.child(n, anyKind(w.rand))
		heal := freeze(pid)
		if others := slices.DeleteFunc(n.Backends(), func(p int) bool { return p == pid }); len(others) > 0 {
			testcluster.Kill(others[w.rand.IntN(len(others))])
		}
		return heal
	}},
	{"a child frozen while the node stops", func(w *world, n *testcluster.Node) func() {
		n, pid := w.child(n, anyKind(w.rand))
		thaw := freeze(pid)
		testcluster.End(n.Guard())
		return func() {
			thaw()
			n.Terminate(enough)
			n.Run()
		}
	}},
	{"a child frozen while the leader hands over", func(w *world, _ *testcluster.Node) func() {
		l := w.c.Leader()
		if l == nil {
			return nil
		}
		_, pid := w.child(l, anyKind(w.rand))
		w.ask(l, "/switchover", fmt.Sprintf(`{"leader":%q}`, l.Name))
		return freeze(pid)
	}},
}

func anyKind(r *rand.Rand) kind { return kinds[r.IntN(len(kinds))] }

// helperFaults strike the programs that an agent runs.
var helperFaults = []fault{
	{"pg_basebackup killed", func(w *world, n *testcluster.Node) func() {
		testcluster.Kill(w.copying(n)...)
		return nil
	}},
	{"pg_basebackup frozen", func(w *world, n *testcluster.Node) func() { return freeze(w.copying(n)...) }},
	{"pg_rewind killed", func(w *world, n *testcluster.Node) func() {
		testcluster.Kill(w.rewinding(n)...)
		return nil
	}},
	{"pg_rewind frozen", func(w *world, n *testcluster.Node) func() { return freeze(w.rewinding(n)...) }},
}

// child gives a child of a kind and whose it is: the node's, or else another one's, for only a replica has a WAL
// receiver, say. Zero: nobody has one.
func (w *world) child(n *testcluster.Node, k kind) (*testcluster.Node, int) {
	for _, n := range append([]*testcluster.Node{n}, w.c.Nodes...) {
		all := slices.DeleteFunc(n.Children(), func(c testcluster.Child) bool { return !k.title.MatchString(c.Title) })
		if len(all) > 0 {
			c := all[w.rand.IntN(len(all))]
			w.log("%s: pid %d, %s", n.Name, c.PID, c.Title)
			w.struck[k.name]++
			return n, c.PID
		}
	}
	return n, 0
}

// copying has a replica copied anew, and gives the processes of the copy.
func (w *world) copying(n *testcluster.Node) []int {
	if n == w.c.Leader() {
		n = w.c.Replicas(n)[0]
	}
	w.ask(n, "/reinitialize", "")
	return w.await(n, "pg_basebackup")
}

// rewinding kills a leader that has written what nobody else has, and gives the processes of its rewind.
func (w *world) rewinding(n *testcluster.Node) []int {
	if l := w.c.Leader(); l != nil {
		n = l
	}
	mend := w.net.CutOff(n.Name, w.others(n)...)
	time.Sleep(time.Duration(1000+w.rand.IntN(2000)) * time.Millisecond)
	n.Destroy()
	time.Sleep(8 * time.Second) // longer than a lease: somebody else leads
	n.Run()
	mend() // only now, see "node killed while the others lag"
	return w.await(n, "pg_rewind")
}

// await gives the processes of a program on a node's data; there may be none soon.
func (w *world) await(n *testcluster.Node, program string) []int {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if pids := n.Programs(program); len(pids) > 0 {
			w.log("%s: pids %v, %s", n.Name, pids, program)
			w.struck[program]++
			return pids
		}
		time.Sleep(5 * time.Millisecond) // nothing tells that a program was started
	}
	return nil
}

// ask sends an order to a node. Nobody waits for the answer, which comes when all is done.
func (w *world) ask(n *testcluster.Node, path, body string) {
	go func() { _, _, _ = n.REST(http.MethodPost, path, body) }()
}
