package cli

import (
	"bytes"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

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
		if elsewhere(proc, dir) {
			continue
		}
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

// elsewhere reports whether a process sees other files than this one, as in a container: a path means something else
// there. Not to be allowed to look is no reason to think so.
func elsewhere(proc, dir string) bool {
	own, err := os.Readlink(filepath.Join(proc, "self", "ns", "mnt"))
	other, denied := os.Readlink(filepath.Join(dir, "ns", "mnt"))
	return err == nil && denied == nil && own != other
}

// usable reports whether a file that an agent was started with can be read, and belongs to somebody who may say where
// this user's commands go: root, the user, or postgres, as whom agents run. Anybody can start a program called hathi.
func (e *env) usable(path string) bool {
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return false // an argument that is no file
	}
	switch {
	case err != nil || !readable(path):
		e.passedOver = append(e.passedOver, path+", which you may not read")
		return false
	case !trusted(info):
		e.passedOver = append(e.passedOver, path+", which belongs to another user")
		return false
	}
	return true
}

func trusted(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	if stat.Uid == 0 || int(stat.Uid) == os.Getuid() {
		return true
	}
	server, err := user.Lookup("postgres")
	return err == nil && server.Uid == strconv.FormatUint(uint64(stat.Uid), 10)
}

// operands gives what an agent's command line may name as its configuration, and nothing for another
// program, such as grep patroni FILE. It knows hathi run CONFIG, patroni CONFIG, and either behind a launcher.
func operands(args []string) []string {
	for i, arg := range args {
		switch name := filepath.Base(arg); name {
		case "patroni":
			return slices.DeleteFunc(args[i+1:], isFlag)
		case "hathi":
			if i+1 < len(args) && args[i+1] == "run" {
				return slices.DeleteFunc(args[i+2:], isFlag)
			}
			return nil
		default:
			if !isFlag(arg) && !launcher(name) {
				return nil
			}
		}
	}
	return nil
}

// launcher reports whether a program is one that others are started with: an interpreter, or a container's init.
func launcher(name string) bool {
	return strings.HasPrefix(name, "python") || slices.Contains([]string{"tini", "dumb-init", "docker-init", "catatonit"}, name)
}

func isFlag(arg string) bool { return strings.HasPrefix(arg, "-") }
