package privilege

import (
	"bytes"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"syscall"
	"testing"
)

// TestMain: with HATHI_DROP_TO set, the binary is the process that gives its privileges up.
func TestMain(m *testing.M) {
	name := os.Getenv("HATHI_DROP_TO")
	if name == "" {
		os.Exit(m.Run())
	}
	if err := DropTo(name); err != nil {
		_, _ = os.Stderr.WriteString(err.Error())
		os.Exit(3)
	}
	if syscall.Setuid(0) == nil {
		_, _ = os.Stderr.WriteString("root is still within reach")
		os.Exit(4)
	}
	cmd := exec.Command("sh", "-c", "id -un; id -gn; id -G; echo $HOME; echo $USER")
	cmd.Stdout = os.Stdout
	if cmd.Run() != nil {
		os.Exit(5)
	}
	os.Exit(0)
}

func drop(t *testing.T, name string) (string, string, error) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "HATHI_DROP_TO="+name)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	return out.String(), errOut.String(), err
}

func TestDropTo(t *testing.T) {
	name := "postgres"
	if os.Geteuid() != 0 {
		// Without root there is only one user to become.
		me, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		name = me.Username
	}
	out, errOut, err := drop(t, name)
	if err != nil {
		t.Fatalf("%v: %s", err, errOut)
	}
	lines := strings.Split(out, "\n")
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	if lines[0] != name {
		t.Errorf("user %q, want %q", lines[0], name)
	}
	for _, g := range strings.Fields(lines[2]) {
		if g == "0" && u.Gid != "0" {
			t.Errorf("still in root's group: %q", lines[2])
		}
	}
	if os.Geteuid() == 0 && lines[3] != u.HomeDir {
		t.Errorf("HOME %q, want %q", lines[3], u.HomeDir)
	}
}

func TestUnknownUser(t *testing.T) {
	if _, errOut, err := drop(t, "no-such-user-here"); err == nil || !strings.Contains(errOut, "no-such-user-here") {
		t.Errorf("got %v, %q", err, errOut)
	}
	if _, err := Credential("no-such-user-here"); err == nil {
		t.Error("no error")
	}
}

func TestCredential(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if c, err := Credential(me.Username); err != nil || c != nil {
		t.Errorf("of the own user: %v, %v", c, err)
	}
	if os.Geteuid() != 0 {
		return
	}
	c, err := Credential("postgres")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("id", "-un")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c}
	if out, err := cmd.Output(); err != nil || string(out) != "postgres\n" {
		t.Errorf("got %q, %v", out, err)
	}
}
