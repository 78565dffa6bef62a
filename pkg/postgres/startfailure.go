package postgres

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// whyEnded says why a server has ended before it accepted connections. The configuration is judged anew, which is
// quick and gives PostgreSQL's own words; all else is in the server's log. It ends with what to do.
func (i *Instance) whyEnded(ctx context.Context, r role, since time.Time) string {
	cfg := i.config()
	args := []string{"-D", cfg.DataDir, "--config-file=" + cfg.mainFile()}
	if controlled, _, err := i.controlled(ctx, cfg, r); err == nil {
		for _, p := range controlled {
			if !fileOnly(p.Name) {
				args = append(args, "--"+p.Name+"="+p.Value)
			}
		}
	}
	args = append(args, "-C", "log_directory")
	out, err := i.run(ctx, command{path: cfg.program("postgres"), args: args, env: untranslated})
	if err != nil {
		return lastLines(out) + "; mend that setting or remove its line, then the server is started again by itself"
	}
	dir := strings.TrimSpace(out)
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(cfg.DataDir, dir)
	}
	if path := newestFile(dir, since); path != "" {
		if said := lastComplaint(path); said != "" {
			return said + " (" + path + "); mend that, then the server is started again by itself"
		}
	}
	return "what it has written before, in this log or its own, says why; mend that, then the server is started again by itself"
}

// newestFile is the file of a directory that was written last, if that was after a moment.
func newestFile(dir string, since time.Time) string {
	var newest string
	entries, _ := os.ReadDir(dir) // none: the server writes elsewhere
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && info.ModTime().After(since) {
			newest, since = filepath.Join(dir, e.Name()), info.ModTime()
		}
	}
	return newest
}

// lastComplaint gives the last error that ended a server, with the line before it, which often holds the cause, and its
// explanations after it.
func lastComplaint(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	const enough = 16 << 10
	if info, err := f.Stat(); err == nil && info.Size() > enough {
		_, _ = f.Seek(-enough, io.SeekEnd) // else the beginning is read
	}
	b, err := io.ReadAll(io.LimitReader(f, 2*enough))
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	for n := len(lines) - 1; n >= 0; n-- {
		if !strings.Contains(lines[n], "FATAL: ") && !strings.Contains(lines[n], "PANIC: ") {
			continue
		}
		from, to := n, n+1
		for from > 0 && from > n-3 && hasAny(lines[from-1], "LOG:  invalid", "LOG:  could not", "LOG:  syntax error", "CONTEXT: ", "LOG:  end-of-line", "LOG:  authentication", "HINT: ") {
			from--
		}
		for to < len(lines) && hasAny(lines[to], "DETAIL: ", "HINT: ", "CONTEXT: ") {
			to++
		}
		return strings.Join(lines[from:to], "; ")
	}
	return ""
}

func hasAny(line string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(line, w) {
			return true
		}
	}
	return false
}
