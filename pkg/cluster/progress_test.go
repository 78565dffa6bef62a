package cluster

import "testing"

func TestProgressText(t *testing.T) {
	for want, p := range map[string]Progress{
		"":                                        {Done: 5},
		"base backup: waiting for a checkpoint":   {What: "base backup", Phase: "waiting for a checkpoint"},
		"base backup: 12 MB of 340 MB (3%)":       {What: "base backup", Done: 12<<20 + 5, Total: 340 << 20},
		"pg_rewind: 9 kB of 9 kB (100%)":          {What: "pg_rewind", Done: 9999, Total: 9300},
		"crash recovery: 300 GB of 20000 GB (1%)": {What: "crash recovery", Done: 300 << 30, Total: 20000 << 30},
		"archive recovery: 512 kB":                {What: "archive recovery", Done: 512 << 10},
	} {
		if got := p.String(); got != want {
			t.Errorf("%+v is %q, want %q", p, got, want)
		}
	}
}
