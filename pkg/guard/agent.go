package guard

import (
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/process"
)

const (
	// settled is how long an agent has to live for its death to be a new one, not one more of a row.
	settled = 10 * time.Second
	// maxDelay bounds the pause before an agent that keeps dying is started again.
	maxDelay = 32 * time.Second
)

// startAgent starts the agent as our child. A failure is handled as an early death.
func (g *guard) startAgent() {
	g.again, g.born = 0, g.o.Clock.Now()
	ours, theirs, err := socketPair()
	if err != nil {
		g.o.Log.Error("could not start the agent", "error", err)
		g.agentEnded(-1)
		return
	}
	file := os.NewFile(uintptr(theirs), "guard")
	defer file.Close()
	if g.armed && g.server != nil {
		if err := send(ours, g.charged()); err != nil {
			g.o.Log.Warn("could not tell the agent what is guarded", "error", err)
		}
	}
	cmd := exec.Command(g.o.Agent[0])
	cmd.Args = g.o.Agent[1:]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{file}
	// A group of its own: a signal to ours (Ctrl-C) reaches the agent once, through us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		unix.Close(ours)
		g.o.Log.Error("could not start the agent", "error", err)
		g.agentEnded(-1)
		return
	}
	h, err := process.Open(cmd.Process.Pid)
	g.closeSock()
	g.sock, g.agent, g.agentPID, g.ours = ours, h, cmd.Process.Pid, true
	if err != nil {
		// It has died already, and SIGCHLD tells how; or it can't be watched, and must not run unwatched.
		g.o.Log.Warn("the agent could not be watched", "error", err)
		_ = cmd.Process.Kill()
	}
	_ = cmd.Process.Release() // children are reaped in one place
}

// reap takes in all children that have ended, ours and orphans.
func (g *guard) reap() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		g.childless = err == unix.ECHILD
		if err != nil || pid <= 0 {
			return
		}
		if g.heir != nil && pid == g.heir.PID() && status.Exited() {
			g.exitCode = status.ExitStatus()
		}
		if pid == g.agentPID && g.ours {
			code := -1
			if status.Exited() {
				code = status.ExitStatus()
			}
			g.agentEnded(code)
		}
	}
}

// agentEnded: the agent has ended, with an exit code or by a signal (-1).
func (g *guard) agentEnded(code int) {
	if g.agent != nil {
		g.agent.Close()
	}
	g.messages() // what it has sent before its end counts
	g.closeSock()
	g.agent, g.agentPID, g.fenced, g.lastCode = nil, 0, 0, -1
	switch {
	case g.heir != nil:
		return // the next agent is the other guard's matter
	case code == 0 || code == g.o.PersonCode:
		g.leaving, g.exitCode = true, code
		return
	case g.leaving:
		return
	case g.asked:
		g.leaving = true // it died of it, perhaps before it could listen; what it leaves armed is stopped here
		return
	}
	now := g.o.Clock.Now()
	if now.Sub(g.born) > settled {
		g.deaths = 0
	}
	var delay time.Duration
	if g.deaths > 0 {
		delay = min(time.Second<<min(g.deaths-1, 6), maxDelay)
	}
	g.deaths++
	g.again = now.Add(delay)
	g.o.Log.Error("the agent has died, starting it again", "exit_code", code, "in", delay)
}

// restart starts the agent again when that is due, and gives until when to rest.
func (g *guard) restart(until clock.Instant) clock.Instant {
	if g.again == 0 || g.leaving || g.agent != nil || g.heir != nil {
		return until
	}
	if now := g.o.Clock.Now(); now.Before(g.again) {
		return earliest(until, g.again)
	}
	g.startAgent()
	return earliest(until, g.again) // set again if it could not be started
}
