package log

import (
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// detachedLines is how many lines may wait for a reader that does not read, if nothing else was asked for.
	detachedLines = 1000
	// flushTime is how long the end of a process waits for the last of its lines to be read.
	flushTime = time.Second
)

// detached is a writer that never waits: what logs must not stop because nobody reads. Standard error is often
// a pipe, and a log collector that hangs would else hang the agent, and with it the lease, and the guard.
type detached struct {
	out   io.Writer
	lines chan []byte
	done  chan struct{} // closed when all was written after the end

	mu     sync.Mutex
	lost   int // lines that found no room since the last that did
	closed bool
}

// newDetached lets this many lines wait; zero for the usual number.
func newDetached(out io.Writer, queue int) *detached {
	if queue <= 0 {
		queue = detachedLines
	}
	d := &detached{out: out, lines: make(chan []byte, queue), done: make(chan struct{})}
	go func() {
		defer close(d.done)
		for line := range d.lines {
			_, _ = d.out.Write(line) // there is nobody left to tell
		}
	}()
	return d
}

// Write takes in one line, or counts it as lost.
func (d *detached) Write(line []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return d.out.Write(line) // the very last words of a process
	}
	text := string(line)
	if d.lost > 0 {
		text = fmt.Sprintf("(%d log lines were lost here, because nobody read them)\n", d.lost) + text
	}
	select {
	case d.lines <- []byte(text):
		d.lost = 0
	default:
		d.lost++
	}
	return len(line), nil
}

// Close waits a moment until all is written.
func (d *detached) Close() error {
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		close(d.lines)
	}
	d.mu.Unlock()
	t := time.NewTimer(flushTime)
	defer t.Stop()
	select {
	case <-d.done:
		return nil
	case <-t.C:
		return fmt.Errorf("log: the last lines were not read within %s", flushTime)
	}
}
