package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// historyFile keeps the history of one timeline, which never changes once it is written.
type historyFile struct {
	dir      string
	timeline cluster.Timeline
	entries  []cluster.HistoryEntry
	written  time.Time
}

// read gives the lines of a timeline's history file and when it was written; nil if there is none.
func (h *historyFile) read(dir string, t cluster.Timeline) ([]cluster.HistoryEntry, time.Time) {
	if t <= 1 { // the first has none
		return nil, time.Time{}
	}
	path := filepath.Join(dir, "pg_wal", fmt.Sprintf("%08X.history", uint32(t)))
	info, err := os.Stat(path)
	if err != nil {
		return nil, time.Time{}
	}
	if h.dir == dir && h.timeline == t && h.written.Equal(info.ModTime()) {
		return h.entries, h.written
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, time.Time{}
	}
	*h = historyFile{dir: dir, timeline: t, entries: parseHistory(string(b)), written: info.ModTime()}
	return h.entries, h.written
}

// parseHistory reads lines of "parent <tab> position <tab> reason"; others are comments.
// Source: PostgreSQL 17, src/backend/access/transam/timeline.c, readTimeLineHistory.
func parseHistory(content string) []cluster.HistoryEntry {
	var list []cluster.HistoryEntry
	for line := range strings.Lines(content) {
		f := strings.SplitN(strings.TrimSpace(line), "\t", 3)
		if len(f) < 2 {
			continue
		}
		t, err := strconv.ParseUint(f[0], 10, 32)
		if err != nil {
			continue
		}
		lsn, err := cluster.ParseLSN(f[1])
		if err != nil {
			continue
		}
		e := cluster.HistoryEntry{Timeline: cluster.Timeline(t), LSN: lsn}
		if len(f) == 3 {
			e.Reason = f[2]
		}
		list = append(list, e)
	}
	return list
}
