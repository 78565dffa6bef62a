package postgres

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

func TestParseHistory(t *testing.T) {
	got, err := parseHistory("# a comment\n\n1\t0/3000060\tno recovery target specified\n\n2\tA/5000028\n")
	if err != nil || len(got) != 2 || got[0].LSN != 0x3000060 || got[0].Reason != "no recovery target specified" || got[1].Timeline != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, broken := range []string{"\x00\x00", "1 0/3000060 blanks", "1\t0/xyz\twhy", "2\t0/1\ta\n1\t0/2\tb\n", "1\t0/1\ta\nhalf"} {
		if got, err := parseHistory(broken); err == nil {
			t.Errorf("%q is taken for %+v", broken, got)
		}
	}
}

// TestBrokenHistory: a history file was damaged. On the leader it must not look as if two servers had nothing in common,
// for which data may be removed; on a replica whose server refuses it, the message says what to do.
func TestBrokenHistory(t *testing.T) {
	p := primary(t)
	r := promotedBeside(t, p)
	path := historyPath(r.cfg.DataDir, 2)
	good, err := os.ReadFile(path)
	must(t, r, err)
	must(t, r, os.WriteFile(path, []byte("garbage\n"), 0o600))
	d, err := p.CheckDivergence(t.Context(), address(r))
	if err == nil || d.Needed || !strings.Contains(err.Error(), `history of timeline 2`) || !strings.Contains(err.Error(), "corrupted: line 1") {
		t.Errorf("compared with garbage: %+v, %v", d, err)
	}
	if s := newInstance(t, r.cfg).Observe(t.Context()); len(s.History) != 0 || !s.HistoryTime.IsZero() && s.Timeline != 2 {
		t.Errorf("a broken history is believed: %+v", s)
	}
	must(t, r, os.WriteFile(path, good, 0o600))

	_, err = p.Stop(t.Context(), cluster.StopFast, true)
	must(t, p, err)
	if d, err = p.CheckDivergence(t.Context(), address(r)); err != nil {
		t.Fatal(err)
	}
	if d.Needed {
		must(t, p, p.Rewind(t.Context(), address(r)))
	}
	must(t, p, p.StartReplica(t.Context(), address(r)))
	eventually(t, p, "on the new timeline", func(s cluster.Server) bool { return s.Timeline == 2 && caughtUp(r)(s) })
	_, err = p.Stop(t.Context(), cluster.StopFast, true)
	must(t, p, err)
	broken := historyPath(p.cfg.DataDir, 2)
	must(t, p, os.WriteFile(broken, []byte("garbage\n"), 0o600))
	if err = p.StartReplica(t.Context(), address(r)); err == nil || !strings.Contains(err.Error(), broken+" is corrupted") || !strings.Contains(err.Error(), "copy the file of that name from") {
		t.Fatalf("got %v", err)
	}
	must(t, p, os.WriteFile(broken, good, 0o600)) // as it says
	must(t, p, p.StartReplica(t.Context(), address(r)))
	eventually(t, p, "caught up again", caughtUp(r))
}

// TestWALGone: a replica was away for so long that the WAL it needs next is gone. It says so, and does nothing else.
func TestWALGone(t *testing.T) {
	cfg := keepsNoWAL(t)
	p := primaryWith(t, cfg)
	r := replicaOf(t, p, "node2")
	eventually(t, r, "caught up", caughtUp(p))
	_, err := r.Stop(t.Context(), cluster.StopFast, false)
	must(t, r, err)
	sql(t, p, "CREATE TABLE public.a (b int)")
	for range 3 {
		sql(t, p, "INSERT INTO public.a VALUES (1)")
		sql(t, p, "SELECT pg_switch_wal()")
		must(t, p, p.Checkpoint(t.Context()))
	}
	must(t, r, r.StartReplica(t.Context(), address(p)))
	begin := time.Now()
	s := eventually(t, r, "a word about the WAL", func(s cluster.Server) bool { return s.WALGone != "" })
	if !strings.Contains(s.WALGone, "has already been removed") || !s.Answered || s.Data != cluster.DataPresent {
		t.Errorf("after %s: %+v", time.Since(begin), s)
	}
	if s = p.Observe(t.Context()); len(s.Slots) != 0 || s.WALGone != "" {
		t.Errorf("the question has left something: %+v", s)
	}
}
