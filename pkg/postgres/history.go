package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
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

// historyPath is the history file of a timeline.
func historyPath(dir string, t cluster.Timeline) string {
	return filepath.Join(dir, "pg_wal", fmt.Sprintf("%08X.history", uint32(t)))
}

// read gives the lines of a timeline's history file and when it was written; nil if there is none. One that can't be
// read is none, either: half of a history is wrong.
func (h *historyFile) read(dir string, t cluster.Timeline) ([]cluster.HistoryEntry, time.Time, error) {
	if t <= 1 { // the first has none
		return nil, time.Time{}, nil
	}
	path := historyPath(dir, t)
	info, err := os.Stat(path)
	if err != nil {
		return nil, time.Time{}, nil //nolint:nilerr // it may not have come yet
	}
	if h.dir == dir && h.timeline == t && h.written.Equal(info.ModTime()) {
		return h.entries, h.written, nil // a broken one is reported once
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read timeline history: %w", err)
	}
	entries, err := parseHistory(string(b))
	if err != nil {
		err = fmt.Errorf("timeline history %s is corrupted: %w", path, err)
	}
	*h = historyFile{dir: dir, timeline: t, entries: entries, written: info.ModTime()}
	return h.entries, h.written, err
}

// learnTimelines puts the history files of timelines into pg_wal of which the running standby may not have heard, as
// its WAL receiver does with those of its upstream. They have to begin where the standby ends: then each of their
// histories contains its own, and it can be started again whatever becomes of it. Files that are there stay.
// Source: PostgreSQL 17, walreceiver.c, WalRcvFetchTimeLineHistoryFiles; xlogrecovery.c, InitWalRecovery.
func (i *Instance) learnTimelines(lines []cluster.HistoryEntry) error {
	if len(lines) == 0 {
		return nil
	}
	dir, own := i.config().DataDir, lines[0].Timeline
	var content []byte
	if own > 1 {
		var err error
		if content, err = os.ReadFile(historyPath(dir, own)); err != nil {
			return fmt.Errorf("read timeline history: %w", err)
		}
	}
	for n, e := range lines {
		content = fmt.Appendf(content, "%d\t%s\t%s\n", e.Timeline, e.LSN, e.Reason)
		next := e.Timeline + 1
		if n+1 < len(lines) {
			next = lines[n+1].Timeline
		}
		if exists(historyPath(dir, next)) {
			continue
		}
		i.log.Info("timeline was lost before this server heard of it; the next number is taken", "timeline", next)
		if _, err := writeFile(historyPath(dir, next), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// parseHistory reads lines of "parent <tab> position <tab> reason"; empty ones and those that begin with # are
// comments. Any other line, or timelines that do not grow, make it useless: a missing line would tell that two
// servers have nothing in common. Source: PostgreSQL 17, src/backend/access/transam/timeline.c, readTimeLineHistory.
func parseHistory(content string) ([]cluster.HistoryEntry, error) {
	var list []cluster.HistoryEntry
	number := 0
	for line := range strings.Lines(content) {
		number++
		text := strings.TrimSpace(line)
		if text == "" || text[0] == '#' {
			continue
		}
		f := strings.SplitN(text, "\t", 3)
		if len(f) < 2 {
			return nil, fmt.Errorf("line %d is %q", number, text)
		}
		t, err1 := strconv.ParseUint(f[0], 10, 32)
		lsn, err2 := cluster.ParseLSN(f[1])
		switch {
		case err1 != nil || err2 != nil:
			return nil, fmt.Errorf("line %d is %q", number, text)
		case len(list) > 0 && cluster.Timeline(t) <= list[len(list)-1].Timeline:
			return nil, fmt.Errorf("line %d: timeline %d comes after %d", number, t, list[len(list)-1].Timeline)
		}
		e := cluster.HistoryEntry{Timeline: cluster.Timeline(t), LSN: lsn}
		if len(f) == 3 {
			e.Reason = f[2]
		}
		list = append(list, e)
	}
	return list, nil
}

// brokenHistory explains a start that failed by the history file that PostgreSQL reads then, the newest; empty if
// that one is not the reason.
func brokenHistory(cfg Config) string {
	files, _ := filepath.Glob(filepath.Join(cfg.DataDir, "pg_wal", "????????.history"))
	if len(files) == 0 {
		return ""
	}
	newest := slices.Max(files)
	b, err := os.ReadFile(newest)
	if err == nil {
		_, err = parseHistory(string(b))
	}
	if err == nil {
		return ""
	}
	return fmt.Sprintf("; the timeline history %s is corrupted (%v): copy the file of that name from "+
		"pg_wal of another member or from the archive, or %s", newest, err, cfg.reinit())
}
