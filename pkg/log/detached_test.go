package log

import (
	"bufio"
	"io"
	"os"
	"strings"
	"testing"
)

// TestDetached: a reader that does not read stops nobody, and is told later what it has missed.
func TestDetached(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d := newDetached(w, 0)
	line := strings.Repeat("x", 99) + "\n"
	const sent = 20000 // far more than the pipe and the queue hold
	for range sent {
		if n, err := d.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
	}
	read := bufio.NewReader(r)
	if got, err := read.ReadString('\n'); err != nil || got != line {
		t.Fatalf("first line: %q, %v", got, err)
	}
	rest := make(chan string)
	go func() {
		all, _ := io.ReadAll(read)
		rest <- string(all)
	}()
	for !d.hasRoom() { // it is being read now
		_, _ = d.Write([]byte("waiting\n"))
	}
	_, _ = d.Write([]byte("last\n"))
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	w.Close()
	got := <-rest
	if !strings.Contains(got, "log lines were lost here") || !strings.HasSuffix(got, "last\n") {
		t.Errorf("%d bytes read, ending in %q", len(got), got[max(0, len(got)-200):])
	}
	if n := strings.Count(got, line); n >= sent {
		t.Errorf("%d lines read", n)
	}
}

func (d *detached) hasRoom() bool { return len(d.lines) < cap(d.lines)/2 }
