package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/process"
)

const (
	progressPause  = time.Second      // between two looks at a long action
	progressReport = 10 * time.Second // between two lines about it in the log
)

// progressing shows how a long action gets on, until end is called: in what is observed, and in the log. look tells
// it; the action itself says nothing until it is over.
func (i *Instance) progressing(ctx context.Context, look func(context.Context) cluster.Progress) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		reported := time.Now()
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(progressPause): // neither PostgreSQL nor its programs tell anybody how far they are
			}
			p := look(ctx)
			i.setProgress(p)
			if p.What != "" && time.Since(reported) >= progressReport {
				i.log.Info(p.String())
				reported = time.Now()
			}
		}
	}()
	return func() {
		cancel()
		<-ended
		i.setProgress(cluster.Progress{})
	}
}

func (i *Instance) setProgress(p cluster.Progress) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.progress = p
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64) // zero is "not known"
	return n
}

// rewindOutput reads the progress that pg_rewind prints.
// Source: PostgreSQL 17, src/bin/pg_rewind/pg_rewind.c, progress_report and main.
type rewindOutput struct {
	mu   sync.Mutex
	rest []byte
	now  cluster.Progress
}

var rewindCopied = regexp.MustCompile(`^ *(\d+)/(\d+) kB \(\d+%\) copied`)

// Write implements io.Writer.
func (r *rewindOutput) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest = append(r.rest, p...)
	for {
		end := bytes.IndexAny(r.rest, "\r\n")
		if end < 0 {
			r.rest = r.rest[max(0, len(r.rest)-excerptSize):]
			return len(p), nil
		}
		r.line(string(r.rest[:end]))
		r.rest = r.rest[end+1:]
	}
}

func (r *rewindOutput) line(text string) {
	text = strings.TrimPrefix(text, "pg_rewind: ")
	switch m := rewindCopied.FindStringSubmatch(text); {
	case m != nil:
		r.now = cluster.Progress{What: "pg_rewind", Done: number(m[1]) << 10, Total: number(m[2]) << 10}
	case strings.HasPrefix(text, "reading"), strings.HasPrefix(text, "creating backup label"), strings.HasPrefix(text, "syncing target"):
		r.now = cluster.Progress{What: "pg_rewind", Phase: text}
	}
}

func (r *rewindOutput) look(context.Context) cluster.Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// recovery measures the replay of a server that accepts no connections yet. Nothing tells it in all versions, but the
// process has the segment open that it replays.
type recovery struct {
	from, to int64 // where it began, and the end of the WAL that is there
}

var segmentName = regexp.MustCompile(`^[0-9A-F]{24}$`)

// look gives the progress of a recovery that works in the data directory; none if no process is at it.
func (r *recovery) look(ctx context.Context, i *Instance) cluster.Progress {
	cfg := i.config()
	c, err := i.readControl(ctx)
	if err != nil || c.Redo == 0 {
		return cluster.Progress{}
	}
	pids, err := process.InDirectory(cfg.DataDir, i.serverPrograms()...)
	if err != nil {
		return cluster.Progress{}
	}
	at := ""
	for _, pid := range pids {
		at = max(at, openSegment(pid))
	}
	wal := filepath.Join(cfg.DataDir, "pg_wal")
	segment, err := os.Stat(filepath.Join(wal, at))
	if at == "" || err != nil {
		return cluster.Progress{}
	}
	size := segment.Size()
	p := cluster.Progress{What: "recovery", Done: max(0, segmentStart(at, size)-int64(c.Redo))}
	if c.State == "in archive recovery" {
		return p // more may come from the archive or the primary
	}
	if r.from != int64(c.Redo) {
		r.from, r.to = int64(c.Redo), walEnd(wal, int64(c.Redo), size)
	}
	p.What, p.Total = "crash recovery", r.to-r.from
	return p
}

// openSegment gives the last segment of WAL that a process has open; empty: none.
func openSegment(pid int) string {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	files, _ := os.ReadDir(dir) // another user's, or it has ended
	last := ""
	for _, f := range files {
		target, _ := os.Readlink(filepath.Join(dir, f.Name()))
		if name := filepath.Base(target); segmentName.MatchString(name) {
			last = max(last, name)
		}
	}
	return last
}

// segmentStart gives the position at which a segment begins. Source: PostgreSQL 17, access/xlog_internal.h,
// XLogFromFileName.
func segmentStart(name string, size int64) int64 {
	high, err1 := strconv.ParseUint(name[8:16], 16, 32)
	low, err2 := strconv.ParseUint(name[16:24], 16, 32)
	if err1 != nil || err2 != nil {
		return 0
	}
	return int64(high<<32) + int64(low)*size
}

// walEnd gives the end of the last segment in pg_wal that has been written: those that were kept for later use have
// a future name and old content. Source: PostgreSQL 17, access/xlog_internal.h, XLogPageHeaderData.
func walEnd(dir string, from, size int64) int64 {
	entries, _ := os.ReadDir(dir) // without it there is no recovery either
	var names []string
	for _, e := range entries {
		if segmentName.MatchString(e.Name()) && segmentStart(e.Name(), size)+size > from {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(a[8:], b[8:]) })
	end := from
	for _, name := range names {
		start := segmentStart(name, size)
		if start > end || pageAddress(filepath.Join(dir, name)) != start {
			break
		}
		end = start + size
	}
	return end
}

// pageAddress gives where the first page of a segment says that it belongs; -1 if it can't be read.
func pageAddress(path string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return -1
	}
	defer f.Close()
	var head [16]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return -1
	}
	return int64(binary.NativeEndian.Uint64(head[8:]))
}
