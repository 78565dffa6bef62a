package commands

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// shells types command lines into the shells themselves, with the scripts that packages install, under both names.
func shells(t *testing.T, c *testcluster.Cluster) {
	dir := t.TempDir()
	scripts, err := filepath.Abs(filepath.Join("..", "..", "completions"))
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"hathi", "patronictl"} {
		if err := os.Symlink(c.Binary(), filepath.Join(dir, program)); err != nil {
			t.Fatal(err)
		}
		env := append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir, "TERM=xterm", "PS1=> ")
		for _, s := range []struct {
			shell []string
			setup string
		}{
			{[]string{"bash", "--norc", "--noprofile", "-i"}, "source /usr/share/bash-completion/bash_completion; source " + filepath.Join(scripts, program+".bash")},
			{[]string{"zsh", "-f", "-i"}, "fpath=(" + scripts + " $fpath); autoload -U compinit; compinit -u -D"},
		} {
			t.Run(s.shell[0]+" "+program, func(t *testing.T) {
				shell := exec.Command(s.shell[0], s.shell[1:]...)
				shell.Env = env
				typeIn(inPtyOf(t, shell, s.setup), program, c.Nodes[0].Config)
			})
		}
		t.Run("fish "+program, func(t *testing.T) { fish(t, env, filepath.Join(scripts, program+".fish"), program, c.Nodes[0].Config) })
	}
}

// inPtyOf starts a shell and waits until it is ready.
func inPtyOf(t *testing.T, shell *exec.Cmd, setup string) *dialogue {
	t.Helper()
	d := inPty(t, shell)
	d.press(setup + "; echo rea''dy\r")
	d.expect("ready")
	return d
}

// typeIn presses TAB where a person would.
func typeIn(d *dialogue, program, config string) {
	d.t.Helper()
	d.offers(program+" -c "+config+" reload ", "\t", "demo")
	d.offers(program+" -c "+config+" switchover --candidate no", "\t\t\t", "node1  node2  node3")
	d.offers(program+" -c "+config+" edit-config -p max_c", "\t900", "onnections=900") // no blank after the equals sign
	d.press("\x15" + program + " -d 127.0.0.1:1 reload \t")                            // nobody is there
	d.expect(" reload ")
	d.press("; echo sil''ent\r")
	if shown := d.expect("silent"); strings.Contains(shown, "refused") || strings.Contains(shown, "Can not") {
		d.t.Errorf("completion without etcd shows %q", shown)
	}
	d.press("exit\r")
	d.ends()
}

// offers types a line anew and again presses keys until a text appears, because on a busy machine etcd may be too late
// for completion, which is silent then.
func (d *dialogue) offers(line, keys, text string) {
	d.t.Helper()
	for range 20 {
		d.press("\x15" + line)
		d.expect(line[strings.LastIndexByte(strings.TrimSpace(line), ' '):])
		d.press(keys)
		if _, ok := d.await(text, time.Second); ok {
			return
		}
	}
	d.t.Fatalf("%q and TAB never shows %q", line, text)
}

// fish is asked for what it would offer, which its own engine finds out from the script.
func fish(t *testing.T, env []string, script, program, config string) {
	for line, want := range map[string]string{
		" -c " + config + " reload ":                   "demo",
		" -c " + config + " reload demo ":              "node1 node2 node3",
		" -c " + config + " switchover --candidate no": "node1 node2 node3",
		" -c " + config + " edit-config -p max_c":      "max_connections=",
		" -c " + config + " restart demo -r re":        "replica",
		" -d 127.0.0.1:1 reload ":                      "",
	} {
		got := again(want, func() string {
			cmd := exec.Command("fish", "--no-config", "-c", `source $argv[1]; complete -C $argv[2]`, script, program+line)
			cmd.Env = env
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%q: %v", line, err)
			}
			return strings.Join(strings.Fields(string(out)), " ")
		})
		if got != want {
			t.Errorf("%s%s offers %q, want %q", program, line, got, want)
		}
	}
}
