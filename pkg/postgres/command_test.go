package postgres

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestExcerpt: a program that talks without end costs no more memory than its beginning and its end.
func TestExcerpt(t *testing.T) {
	var e excerpt
	for range 1000 {
		if n, err := e.Write([]byte(strings.Repeat("m", 1000))); n != 1000 || err != nil {
			t.Fatal(n, err)
		}
	}
	_, _ = e.Write([]byte("the end"))
	got := e.String()
	if len(got) > 2*excerptSize+10 || !strings.HasPrefix(got, "mmm") || !strings.HasSuffix(got, "mthe end") || !strings.Contains(got, "[...]") {
		t.Errorf("%d bytes: %.10s ... %s", len(got), got, got[len(got)-10:])
	}
	var short excerpt
	_, _ = short.Write([]byte("one line\n"))
	if short.String() != "one line\n" {
		t.Errorf("got %q", short.String())
	}
}

func TestChildEnv(t *testing.T) {
	got := childEnv([]string{"A=1", "PATRONI_SUPERUSER_PASSWORD=x", "HATHI_X=1", "XPATRONI_=1"})
	if strings.Join(got, " ") != "A=1 XPATRONI_=1" {
		t.Errorf("got %q", got)
	}
}

// TestProgramThatIsMissing: a wrong bin_dir is named as what it is.
func TestProgramThatIsMissing(t *testing.T) {
	i := newInstance(t, newConfig(t, "node1"))
	_, err := i.run(t.Context(), command{path: filepath.Join(t.TempDir(), "initdb")})
	if err == nil || !strings.Contains(err.Error(), "postgresql.bin_dir") {
		t.Errorf("a program of PostgreSQL: %v", err)
	}
	_, err = i.run(t.Context(), command{path: "/nowhere/script", user: true})
	if err == nil || strings.Contains(err.Error(), "postgresql.bin_dir") {
		t.Errorf("a command of the user: %v", err)
	}
}
