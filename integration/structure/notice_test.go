package structure

import (
	"strings"
	"testing"
)

// TestRulesNotice shows each rule code that breaks it, and code that only looks like that.
func TestRulesNotice(t *testing.T) {
	long := strings.Repeat("\tf()\n", maxFunction)
	for _, c := range []struct {
		rule, path, code string
		want             int
	}{
		{"layers", "pkg/ha/a.go", `import "github.com/hathi-ha/hathi/pkg/agent"`, 1},
		{"layers", "pkg/postgres/a.go", `import "github.com/hathi-ha/hathi/pkg/dcs"`, 0},
		{"layers", "pkg/dcs/a.go", `import "github.com/hathi-ha/hathi/pkg/dcs/etcd"`, 1},
		{"edges", "pkg/agent/a.go", `import "github.com/hathi-ha/hathi/pkg/dcs/etcd"`, 2}, // by name, and as anybody but cli
		{"edges", "pkg/agent/a.go", `import "net/http"`, 1},
		{"edges", "pkg/cli/a.go", `import "go.etcd.io/etcd/client/v3"`, 1},
		{"edges", "pkg/cli/a.go", `import "github.com/hathi-ha/hathi/pkg/sim"`, 1},
		{"edges", "pkg/api/a.go", `import "testing"`, 1},
		{"edges", "pkg/api/a_test.go", `import "testing"`, 0},
		{"edges", "pkg/sim/cmd/soak/main.go", `import "os"`, 0},
		{"edges", "pkg/sim/a.go", `import "os/exec"`, 2}, // no process in sim, and none that nobody watches
		{"pure", "pkg/ha/a.go", `import "os"`, 1},
		{"pure", "pkg/ha/a.go", `import "time"; func f() time.Time { return time.Now() }`, 1},
		{"pure", "pkg/ha/a.go", `import "time"; func f() time.Duration { return time.Second }`, 0},
		{"pure", "pkg/ha/a.go", `import "github.com/hathi-ha/hathi/pkg/clock"; var c clock.System`, 2},
		{"pure", "pkg/ha/a.go", `func f() { go f() }`, 1},
		{"pure", "pkg/ha/a.go", `func f(c chan int) { c <- 1 }`, 2},
		{"pure", "pkg/ha/a.go", `func init() { println(1) }`, 2},
		{"pure", "pkg/ha/a.go", `import "fmt"; func f() { fmt.Println(1) }`, 1},
		{"pure", "pkg/ha/a.go", `var seen = map[string]bool{}`, 1},
		{"pure", "pkg/cluster/a.go", `var names = []string{"a"}; func f() string { return names[0] }`, 0},
		{"pure", "pkg/cluster/a.go", `var names = []string{"a"}; func f() { names[0] = "b" }`, 1},
		{"pure", "pkg/api/a.go", `import "time"; var started = time.Now()`, 0},
		{"documented", "pkg/ha/a.go", `type Action struct{}`, 1},
		{"documented", "pkg/ha/a.go", "// Action is what to do.\ntype Action struct{}", 0},
		{"documented", "pkg/ha/a.go", `type action struct{}; func (action) Do() {}`, 0},
		{"documented", "pkg/ha/a.go", "const (\n\tOne = 1\n\ttwo = 2\n)", 1},
		{"documented", "pkg/ha/a.go", `func Decide() {}`, 1},
		{"size", "pkg/ha/a.go", "func f() {\n" + long + "}", 1},
		{"size", "pkg/ha/a.go", "func f() {\n_ = []func(){\n" + strings.ReplaceAll(long, "()", ",") + "}\n}", 0},
		{"size", "pkg/ha/a.go", strings.Repeat("// one line\n", maxFile), 1},
		{"no skip", "pkg/ha/a_test.go", `import "testing"; func TestA(t *testing.T) { t.Skip("no PostgreSQL here") }`, 1},
		{"sleep", "pkg/agent/a.go", `import "time"; func f() { time.Sleep(1) }`, 1},
		{"sleep", "pkg/agent/a.go", "import \"time\"\nfunc f() {\n\t// the kernel has no event for it\n\ttime.Sleep(1)\n}", 0},
	} {
		s, err := parse(c.path, "package a\n\n"+c.code+"\n")
		if err != nil {
			t.Fatalf("%s: %v", c.code, err)
		}
		var found []finding
		for _, r := range rules {
			if r.name == c.rule {
				found = r.find(s)
			}
		}
		if len(found) != c.want {
			t.Errorf("%s in %s: %d findings, want %d: %v\n%.200s", c.rule, c.path, len(found), c.want, found, c.code)
		}
	}
}
