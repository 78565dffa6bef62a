package commands

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

const clear = "\x1b[2J\x1b[1;1H"

// watch repeats a command: in a terminal on a clean screen, to a pipe one after the other, until Ctrl-C.
func watch(t *testing.T, c *testcluster.Cluster) {
	for _, program := range []string{"hathi", "patronictl"} {
		d := talk(t, c, program, nil, "list", "-w", "0.2")
		for range 3 {
			d.expect(clear + "+ Cluster: demo")
		}
		d.press("\x03")
		d.expect("Aborted!")
		if code := d.ends(); code != 1 {
			t.Errorf("%s: exit code %d after Ctrl-C", program, code)
		}
	}
	d := talk(t, c, "patronictl", nil, "topology", "-W")
	d.expect(clear)
	started := time.Now()
	d.expect(clear)
	if took := time.Since(started); took < 300*time.Millisecond { // not at once: this end may see the first late
		t.Errorf("-W shows again after %s", took)
	}
	d.press("\x03")
	d.ends()
	for _, args := range []string{"list -tfjson -w 0.2", "list -W -w 0.2 -f json", "query -w 0.2 -c select"} {
		rounds(t, c, strings.Fields(args))
	}
	if out, code := c.RunAs("patronictl", "", nil, "list", "-w", "0", "-f", "json"); code != 0 || strings.Count(out, "\n") != 1 {
		t.Errorf("-w 0: exit code %d\n%s", code, out)
	}
}

// rounds reads a command's output from a pipe, where nothing is cleared.
func rounds(t *testing.T, c *testcluster.Cluster, args []string) {
	t.Helper()
	cmd := exec.Command(c.Binary())
	cmd.Args = append([]string{"patronictl", "-c", c.Nodes[0].Config}, args...)
	cmd.Env = append(os.Environ(), "PGPASSWORD=secret-super", "PGUSER=postgres", "PGDATABASE=postgres")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range 6 {
		if !lines.Scan() || strings.Contains(lines.Text(), "\x1b") {
			t.Errorf("%q prints %q", args, lines.Text())
		}
	}
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 || errs.String() != "\nAborted!\n" {
		t.Errorf("%q ends with %d and %q", args, code, errs.String())
	}
}
