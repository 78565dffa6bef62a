package leftover

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Process is what /proc tells about a process.
type Process struct {
	PID        int
	Args       []string
	Cwd, State string // the state is proc(5)'s letter
}

// Processes gives all processes of the machine.
func Processes() []Process {
	var out []Process
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(d))
		raw, err := os.ReadFile(d + "/cmdline")
		if err != nil {
			continue
		}
		p := Process{PID: pid, Args: strings.Split(strings.TrimRight(string(raw), "\x00"), "\x00")}
		p.Cwd, _ = os.Readlink(d + "/cwd")
		if stat, err := os.ReadFile(d + "/stat"); err == nil {
			if i := bytes.LastIndexByte(stat, ')'); i > 0 && len(stat) > i+2 {
				p.State = string(stat[i+2])
			}
		}
		out = append(out, p)
	}
	return out
}
