package postgres

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestControlFile: what is read from the bytes is what pg_controldata prints, in several states.
func TestControlFile(t *testing.T) {
	p := primary(t)
	r := replicaOf(t, p, "node2")
	compare := func(i *Instance, what string) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(i.cfg.DataDir, "global", "pg_control"))
		if err != nil {
			t.Fatal(err)
		}
		got, ok := parseControl(b)
		if !ok {
			t.Fatalf("%s: the layout is not known", what)
		}
		out, err := i.run(t.Context(), command{path: i.cfg.program("pg_controldata"), args: []string{i.cfg.DataDir}, env: untranslated})
		if err != nil {
			t.Fatal(err)
		}
		want, err := parseControlText(out)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, pg_controldata says %+v:\n%s", what, got, want, out)
		}
	}
	for _, i := range []*Instance{p, r} {
		eventually(t, i, "answers", func(s cluster.Server) bool { return s.Answered })
		_, err := i.Stop(t.Context(), cluster.StopFast, true)
		must(t, i, err)
	}
	compare(p, "primary")
	compare(r, "replica")
	b, err := os.ReadFile(filepath.Join(p.cfg.DataDir, "global", "pg_control"))
	if err != nil {
		t.Fatal(err)
	}
	b[200] ^= 1
	if _, ok := parseControl(b); ok {
		t.Error("a damaged file was believed")
	}
	if _, ok := parseControl(b[:100]); ok {
		t.Error("half a file was believed")
	}
}
