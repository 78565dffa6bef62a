package commands

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// dialogue is a program in a terminal.
type dialogue struct {
	t    *testing.T
	cmd  *exec.Cmd
	keys *os.File
	mu   sync.Mutex
	seen bytes.Buffer // since the last expectation
	over chan struct{}
}

func talk(t *testing.T, c *testcluster.Cluster, program string, env []string, args ...string) *dialogue {
	t.Helper()
	cmd := exec.Command(c.Binary())
	cmd.Args = append([]string{program, "-c", c.Nodes[0].Config}, args...)
	cmd.Env = append(append(os.Environ(), "TERM=xterm", "TZ=UTC"), env...)
	return inPty(t, cmd)
}

// inPty starts a program in a terminal of its own.
func inPty(t *testing.T, cmd *exec.Cmd) *dialogue {
	t.Helper()
	keys, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 160})
	if err != nil {
		t.Fatal(err)
	}
	d := &dialogue{t: t, cmd: cmd, keys: keys, over: make(chan struct{})}
	go func() {
		defer close(d.over)
		buf := make([]byte, 4096)
		for {
			n, err := keys.Read(buf)
			d.mu.Lock()
			d.seen.Write(buf[:n])
			d.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return d
}

// expect waits until a text has been shown, and gives all up to it.
func (d *dialogue) expect(text string) string {
	d.t.Helper()
	shown, ok := d.await(text, 20*time.Second)
	if !ok {
		_ = d.cmd.Process.Kill()
		d.t.Fatalf("%q does not appear; shown is\n%q", text, shown)
	}
	return shown
}

// await is expect for a text that may not come: false, and all that is shown, at the end of the program or after the limit.
func (d *dialogue) await(text string, limit time.Duration) (shown string, ok bool) {
	for end := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) { // a terminal has no event for a text
		over := false
		select {
		case <-d.over: // all that will be shown is there
			over = true
		default:
		}
		d.mu.Lock()
		shown = d.seen.String()
		if before, after, ok := strings.Cut(shown, text); ok {
			d.seen.Reset()
			d.seen.WriteString(after)
			d.mu.Unlock()
			return before, true
		}
		d.mu.Unlock()
		if over || time.Now().After(end) {
			return shown, false
		}
	}
}

func (d *dialogue) press(keys string) {
	d.t.Helper()
	if _, err := d.keys.WriteString(keys); err != nil {
		d.t.Fatal(err)
	}
}

// ends waits for the end and gives the exit code.
func (d *dialogue) ends() int {
	d.t.Helper()
	<-d.over
	_ = d.cmd.Wait()
	_ = d.keys.Close()
	return d.cmd.ProcessState.ExitCode()
}

// inTerminal does what only a person at a terminal sees, and leaves the cluster as it was.
func inTerminal(t *testing.T, c *testcluster.Cluster) {
	t.Run("names", func(t *testing.T) { names(t, c) })
	t.Run("questions", func(t *testing.T) { questions(t, c) })
	t.Run("patronictl", func(t *testing.T) {
		d := talk(t, c, "patronictl", nil, "switchover")
		d.expect("Primary [node1]: ")
		d.press("\n")
		d.expect("Candidate ['node2', 'node3'] []: ")
		d.press("nobody\n")
		d.expect("Error: Member nobody does not exist")
		if code := d.ends(); code != 1 {
			t.Errorf("exit code %d", code)
		}
	})
	t.Run("ctrl-c", func(t *testing.T) {
		for _, program := range []string{"hathi", "patronictl"} {
			d := talk(t, c, program, nil, "reload", "demo")
			d.expect("[y/N]: ")
			d.press("\x03")
			d.expect("Aborted!")
			if code := d.ends(); code != 1 {
				t.Errorf("%s: exit code %d", program, code)
			}
		}
	})
	t.Run("password", func(t *testing.T) {
		d := talk(t, c, "hathi", []string{"PGUSER=postgres", "PGDATABASE=postgres"}, "query", "--password", "-c", "select 'sec' || 'ret'")
		d.expect("Password: ")
		d.press("secret-super\n")
		if shown := d.expect("secret"); strings.Contains(shown, "super") || d.ends() != 0 {
			t.Errorf("the password is shown, or was wrong: %q", shown)
		}
	})
	t.Run("watch", func(t *testing.T) { watch(t, c) })
	t.Run("difference", func(t *testing.T) { difference(t, c) })
	t.Run("progress", func(t *testing.T) { progress(t, c) })
}

// progress is told while somebody waits, and not to patronictl's users.
func progress(t *testing.T, c *testcluster.Cluster) {
	var held []int // what keeps the copy waiting until it was told of
	for _, child := range c.Nodes[0].Children() {
		if strings.HasPrefix(child.Title, "checkpointer") {
			held = append(held, child.PID)
		}
	}
	testcluster.Freeze(held...)
	defer testcluster.Thaw(held...)
	d := talk(t, c, "hathi", nil, "reinit", "demo", "node3", "--force", "--wait")
	d.expect("Waiting for reinitialize to complete on: node3")
	d.expect("  node3: Replica, ")
	testcluster.Thaw(held...)
	d.expect("Reinitialize is completed on: node3")
	if code := d.ends(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	settled(c)
	d = talk(t, c, "patronictl", nil, "reinit", "demo", "node3", "--force", "--wait")
	if shown := d.expect("Reinitialize is completed on: node3"); strings.Contains(shown, "  node3: ") {
		t.Errorf("patronictl tells more than it should: %q", shown)
	}
	if code := d.ends(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	settled(c)
}

// names are completed, and a wrong one can be mended.
func names(t *testing.T, c *testcluster.Cluster) {
	d := talk(t, c, "hathi", nil, "switchover")
	d.expect("Primary [node1]: ")
	d.press("\r")
	d.expect("Candidate ['node2', 'node3'] []: ")
	d.press("\t")
	d.expect("node")
	d.press("\t")
	d.expect("node2  node3")
	d.press("9\r")
	d.expect("Error: Member node9 does not exist in cluster demo or is tagged as nofailover")
	d.expect("Candidate ['node2', 'node3'] []: ")
	d.press("no\t3\r")
	d.expect("When should the switchover take place")
	d.press("\r")
	d.expect("Are you sure you want to switchover cluster demo, demoting current leader node1? [y/N]: ")
	d.press("n\r")
	d.expect("Error: Aborting switchover")
	if code := d.ends(); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

// difference is shown in colour, unless NO_COLOR is set, and by the pager that was named.
func difference(t *testing.T, c *testcluster.Cluster) {
	for _, e := range []struct {
		env  []string
		want string
	}{
		{[]string{"PAGER=cat"}, "\x1b[31m-ttl: 6\x1b[0m\r\n\x1b[32m+ttl: 6\x1b[7m0\x1b[27m\x1b[0m"},
		{[]string{"PAGER=cat", "NO_COLOR=1"}, "\r\n-ttl: 6\r\n+ttl: 60\r\n"},
		{[]string{"PAGER=/nowhere/more-or-less", "NO_COLOR=1"}, "+ttl: 60"},
		{[]string{"PAGER=", "PATH=/nowhere", "NO_COLOR=1"}, "+ttl: 60"}, // no pager at all
	} {
		d := talk(t, c, "hathi", e.env, "edit-config", "-s", "ttl=60")
		d.expect(e.want)
		d.expect("Apply these changes? [y/N]: ")
		d.press("n\r")
		d.expect("Nothing was changed.")
		if code := d.ends(); code != 0 {
			t.Errorf("%q: exit code %d", e.env, code)
		}
	}
	d := talk(t, c, "patronictl", []string{"PAGER=", "PATH=/nowhere"}, "edit-config", "-s", "ttl=60", "--force")
	d.expect("Error: No pager could be found.")
	if code := d.ends(); code != 1 {
		t.Errorf("patronictl without a pager: exit code %d", code)
	}
}
