package structure

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layers is the map of the packages: each may import those after it, none before it.
var layers = []string{
	"cmd/hathi",
	"pkg/cli",
	"pkg/cli/editor",
	"pkg/playground",
	"pkg/view",
	"pkg/ctl",
	"pkg/agent",
	"pkg/api",
	"pkg/metrics",
	"pkg/dcs/etcd",
	"pkg/guard",
	"pkg/postgres",
	"pkg/postgres/query",
	"pkg/postgres/shmem",
	"pkg/dcs",
	"pkg/doctor",
	"pkg/config",
	"pkg/explain",
	"pkg/ha",
	"pkg/ha/quorum",
	"pkg/peer",
	"pkg/cluster",
	"pkg/clock",
	"pkg/process",
	"pkg/watchdog",
	"pkg/privilege",
	"pkg/log",
	"pkg/keypair",
}

// beside are packages that stand next to the map: they import what they test, and nothing that ships
// imports them.
var beside = []string{"pkg/sim", "integration", "pkg/privilege/privtest"}

// edge forbids imports that the order of the layers would allow, or that leave the repository.
type edge struct {
	// from are the packages that must not; empty means all.
	from []string
	// except are the packages that may all the same.
	except []string
	// to are the imports, with everything below them; those of this repository without the module's name.
	to  []string
	why string
}

var edges = []edge{
	{from: []string{"pkg/cluster"}, to: []string{"pkg", "golang.org", "go.etcd.io"}, why: "the words are spoken by all packages, so they depend on none"},
	{from: []string{"pkg/guard"}, to: []string{"pkg/postgres", "pkg/dcs", "pkg/config", "pkg/ha", "pkg/cluster"}, why: "the fence must be small enough for a sceptic to read in one sitting"},
	{from: []string{"pkg/agent"}, to: []string{"pkg/postgres", "pkg/dcs/etcd", "net", "os", "os/exec", "syscall"}, why: "effects are behind the agent's interfaces, so that the simulator drives the agent that ships"},
	{from: []string{"pkg/sim"}, except: []string{"pkg/sim/cmd"}, to: []string{"pkg/postgres", "pkg/dcs/etcd", "pkg/process", "net", "os", "syscall"}, why: "the simulator starts no process and opens no socket"},
	{from: []string{"pkg/view"}, to: []string{"os", "net", "io", "context", "pkg/agent", "pkg/dcs"}, why: "a table is a function from values to bytes"},
	{from: []string{"pkg/ctl"}, to: []string{"pkg/agent", "pkg/api", "pkg/dcs", "os"}, why: "what a command does knows no terminal and no agent"},
	{from: []string{"pkg/ha", "pkg/cluster", "pkg/view", "pkg/clock"}, to: []string{"log"}, why: "values don't log: whoever acts on them does"},
	{from: []string{"pkg/ha", "pkg/guard", "pkg/view", "pkg/cluster", "pkg/agent"}, to: []string{"math/rand"}, why: "what decides, fences or prints does the same each time"},
	{except: []string{"pkg/cli", "pkg/dcs/etcd", "integration"}, to: []string{"pkg/dcs/etcd"}, why: "only the wiring knows the concrete store: all else runs on the simulator's, too"},
	{except: []string{"pkg/dcs/etcd", "pkg/playground", "integration"}, to: []string{"go.etcd.io", "google.golang.org/grpc"}, why: "one package speaks to etcd (the playground runs a server)"},
	{except: []string{"pkg/postgres", "integration"}, to: []string{"github.com/jackc"}, why: "one package speaks to PostgreSQL"},
	{except: []string{"pkg/cli"}, to: []string{"github.com/spf13", "golang.org/x/term"}, why: "one package knows the command line and the terminal"},
	{except: []string{"pkg/metrics", "pkg/api", "integration"}, to: []string{"github.com/prometheus"}, why: "what is counted is behind an interface of the agent"},
	{except: []string{"pkg/view"}, to: []string{"github.com/olekukonko"}, why: "one package draws tables"},
	{except: []string{"pkg/config"}, to: []string{"gopkg.in/yaml.v3"}, why: "one package decides how users' YAML is read"},
	{except: []string{"pkg/postgres", "pkg/guard", "pkg/playground", "pkg/cli/editor", "pkg/privilege/privtest", "integration"}, to: []string{"os/exec"}, why: "a process is started where it is watched over"},
	{except: []string{"pkg/privilege/privtest", "integration"}, to: []string{"testing"}, why: "a binary that ships carries no test flags"},
	{except: beside, to: beside, why: "what stands beside the map is for tests"},
}

// within reports whether a package or import is one of the list, or below one of them.
func within(name string, list []string) bool {
	return slices.ContainsFunc(list, func(l string) bool { return name == l || strings.HasPrefix(name, l+"/") })
}

// layer gives the place of a package in the map, and -1 for those beside it.
func layer(dir string) int { return slices.Index(layers, dir) }

// imports calls f for each import; imports of this repository come without the name of the module.
func (s *source) imports(f func(name string) []finding) []finding {
	var found []finding
	for _, spec := range s.file.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			name = spec.Path.Value
		}
		for _, one := range f(strings.TrimPrefix(name, module)) {
			one.at = s.finding(spec.Pos(), "").at
			found = append(found, one)
		}
	}
	return found
}

// findUpward looks at what ships; tests may import what helps them.
func findUpward(s *source) []finding {
	from := layer(s.dir())
	if s.test() || from < 0 {
		return nil
	}
	return s.imports(func(name string) []finding {
		if to := layer(name); to >= 0 && to <= from {
			return []finding{{what: s.dir() + " imports " + name + ", which stands above it"}}
		}
		return nil
	})
}

func findEdges(s *source) []finding {
	if s.test() {
		return nil
	}
	return s.imports(func(name string) []finding {
		var found []finding
		for _, e := range edges {
			forbidden := len(e.from) == 0 || within(s.dir(), e.from)
			if forbidden && !within(s.dir(), e.except) && within(name, e.to) {
				found = append(found, finding{what: s.dir() + " imports " + name + ": " + e.why})
			}
		}
		return found
	})
}

// TestMap holds that the map and the tree are about the same packages, so that a new package gets its place
// and no rule talks about one that is gone.
func TestMap(t *testing.T) {
	there := map[string]bool{}
	for _, s := range load(t) {
		there[s.dir()] = true
		if layer(s.dir()) < 0 && !within(s.dir(), beside) {
			t.Errorf("%s is not in the map of packages: give %s its place in layers", s.path, s.dir())
		}
	}
	for _, dir := range layers {
		if !there[dir] {
			t.Errorf("%s is in the map of packages and not in the tree", dir)
		}
	}
	for _, e := range edges {
		for _, dir := range slices.Concat(e.from, e.except) {
			if !there[dir] && dir != "integration" && dir != "pkg/sim/cmd" {
				t.Errorf("%s is named by an edge (%s) and not in the tree", dir, e.why)
			}
		}
	}
}
