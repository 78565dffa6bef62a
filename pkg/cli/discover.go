package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// places are where a configuration is looked for when none was named: the per-user file that patronictl
// knows, then those of hathi and of distributions.
func places(getenv func(string) string) []string {
	list := []string{userConfig(getenv)}
	if own, err := filepath.Glob("/etc/hathi/*.yml"); err == nil { // sorted by name
		list = append(list, own...)
	}
	return append(list, "/etc/patroni.yml", "/etc/patroni/patroni.yml", "/etc/patroni/config.yml")
}

func userConfig(getenv func(string) string) string {
	base := getenv("XDG_CONFIG_HOME")
	if base == "" {
		base = filepath.Join(getenv("HOME"), ".config")
		if runtime.GOOS == "darwin" {
			base = filepath.Join(getenv("HOME"), "Library", "Application Support")
		}
	}
	return filepath.Join(base, "patroni", "patronictl.yaml")
}

// findConfig gives the configuration that a command uses: the one that was named, which has to be
// readable, else the first that is there, else that of an agent which runs on this machine, so that a
// command works in a node's container without being told. Empty: there is none, the environment alone
// counts. patronictl's own place wins, so a machine that has it behaves as before.
func (e *env) findConfig() (string, error) {
	path := e.global.configFile.value
	if path == "" {
		path = e.getenv("PATRONICTL_CONFIG_FILE")
	}
	if path != "" {
		if !readable(path) {
			return "", worded("Provided config file %s not existing or no read rights. Check the -c/--config-file parameter", path)
		}
		return path, nil
	}
	list := places(e.getenv)
	if readable(list[0]) {
		return list[0], nil
	}
	if e.environmentOnly() {
		return "", nil
	}
	for _, p := range append(list[1:], agentConfigs("/proc")...) {
		if readable(p) {
			return p, nil
		}
	}
	return "", nil
}

// environmentOnly reports whether the environment or -d already say where etcd is: then patronictl would
// have worked without a file, and a file must not change what it does.
func (e *env) environmentOnly() bool {
	if e.global.dcsURL.value != "" || e.getenv("DCS_URL") != "" || e.getenv("PATRONI_CONFIGURATION") != "" {
		return true
	}
	for _, dcs := range []string{"ETCD3", "ETCD"} {
		for _, key := range []string{"HOST", "HOSTS", "URL", "PROXY", "SRV"} {
			if e.getenv("PATRONI_"+dcs+"_"+key) != "" {
				return true
			}
		}
	}
	return false
}

// searched tells where a configuration was looked for.
func (e *env) searched() string {
	return "Looked for a configuration in " + strings.Join(places(e.getenv), ", ") +
		", and for an agent running on this machine; name one with -c."
}

func readable(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// agentConfigs gives the configuration files of the agents among the processes under proc, the first
// process (the agent in a container) before the others. What is not a file is for the caller to pass over.
func agentConfigs(proc string) []string {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil
	}
	var first, others []string
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join(proc, entry.Name())
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			continue // it has ended, or belongs to another user
		}
		for _, path := range operands(strings.Split(string(bytes.TrimRight(cmdline, "\x00")), "\x00")) {
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, "cwd", path)
			}
			if pid == 1 {
				first = append(first, path)
			} else {
				others = append(others, path)
			}
		}
	}
	return append(first, others...)
}

// operands gives what an agent's command line may name as its configuration, and nothing for another
// program. It knows hathi run CONFIG, patroni CONFIG, and either behind an interpreter or an init.
func operands(args []string) []string {
	for i, arg := range args {
		switch filepath.Base(arg) {
		case "patroni":
			return slices.DeleteFunc(args[i+1:], isFlag)
		case "hathi":
			if i+1 < len(args) && args[i+1] == "run" {
				return slices.DeleteFunc(args[i+2:], isFlag)
			}
			return nil
		}
	}
	return nil
}

func isFlag(arg string) bool { return strings.HasPrefix(arg, "-") }
