package testetcd

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testport"
)

// startLimit bounds how long a member may take to serve, on a machine that is busy with other tests.
const startLimit = 30 * time.Second

// Cluster is a running etcd of one or more members. Its methods fail the test when they can't do what
// they say; call them from the test's own goroutine.
type Cluster struct {
	t       testing.TB
	members []*member
}

// Host is where a member runs.
type Host struct {
	Address string   // without a port; empty: loopback
	Wrap    []string // put before the command, such as "ip netns exec x"
	Quota   int64    // how large its database may become, in bytes; zero: as etcd has it
}

type member struct {
	wrap                            []string
	quota                           int64
	name, dir, clientAddr, peerAddr string
	cmd                             *exec.Cmd // nil: not running
	stdin                           io.Closer // the process ends when this is closed
	ready                           chan error
	exited                          chan struct{}
}

// Start starts an etcd of one member, or of as many as are given, and waits until it serves. It is stopped
// at the end of the test.
func Start(t testing.TB, members ...int) *Cluster {
	t.Helper()
	n := 1
	if len(members) > 0 {
		n = members[0]
	}
	return startOn(t, make([]Host, n))
}

// StartOn is Start with a member on each of the hosts.
func StartOn(t testing.TB, hosts ...Host) *Cluster {
	t.Helper()
	return startOn(t, hosts)
}

func startOn(t testing.TB, hosts []Host) *Cluster {
	t.Helper()
	// A port that was free can be taken by the time etcd wants it; then all begin again with others.
	var err error
	for range 3 {
		c := newCluster(t, hosts)
		if err = c.start(c.members...); err == nil {
			t.Cleanup(c.killAll)
			return c
		}
		c.killAll()
	}
	t.Fatalf("testetcd: %v", err)
	return nil
}

func newCluster(t testing.TB, hosts []Host) *Cluster {
	c := &Cluster{t: t}
	dir := t.TempDir()
	for i, h := range hosts {
		name := fmt.Sprintf("etcd%d", i)
		m := &member{wrap: h.Wrap, quota: h.Quota, name: name, dir: filepath.Join(dir, name)}
		if h.Address != "" {
			m.clientAddr, m.peerAddr = h.Address+":2379", h.Address+":2380"
		} else {
			m.clientAddr, m.peerAddr = loopback(t), loopback(t)
		}
		c.members = append(c.members, m)
	}
	return c
}

func loopback(t testing.TB) string { return fmt.Sprintf("127.0.0.1:%d", testport.Take(t)) }

// Endpoints gives the client URLs of all members, running or not.
func (c *Cluster) Endpoints() []string {
	var urls []string
	for _, m := range c.members {
		urls = append(urls, "http://"+m.clientAddr)
	}
	return urls
}

// Addresses gives host:port of all members, running or not.
func (c *Cluster) Addresses() []string {
	var addrs []string
	for _, m := range c.members {
		addrs = append(addrs, m.clientAddr)
	}
	return addrs
}

// PID gives the process id of a running member.
func (c *Cluster) PID(i int) int {
	c.t.Helper()
	return c.running(i).cmd.Process.Pid
}

// Start starts a member that was stopped or killed and waits until it serves: with three members that
// takes a majority of them.
func (c *Cluster) Start(i int) {
	c.t.Helper()
	m := c.members[i]
	if m.cmd != nil {
		c.t.Fatalf("testetcd: %s already runs", m.name)
	}
	// Its port may still be in use for a moment, by the connections of the process before.
	var err error
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); {
		if err = c.spawn(m); err == nil {
			err = m.wait()
		}
		if err == nil {
			return
		}
		m.kill()
	}
	c.t.Fatalf("testetcd: %v\n%s", err, m.log())
}

// StartAll starts all members that do not run and waits until all serve.
func (c *Cluster) StartAll() {
	c.t.Helper()
	var down []*member
	for _, m := range c.members {
		if m.cmd == nil {
			down = append(down, m)
		}
	}
	var err error
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); {
		// All before any is waited for: without a majority none serves.
		if err = c.start(down...); err == nil {
			return
		}
		for _, m := range down {
			m.kill()
		}
	}
	c.t.Fatalf("testetcd: %v", err)
}

// Stop ends a member with SIGTERM and waits until it is gone.
func (c *Cluster) Stop(i int) {
	c.t.Helper()
	m := c.running(i)
	c.signal(m, syscall.SIGTERM)
	select {
	case <-m.exited:
	case <-time.After(startLimit):
		c.t.Errorf("testetcd: %s did not end after SIGTERM\n%s", m.name, m.log())
	}
	m.kill()
}

// Kill ends a member with SIGKILL and waits until it is gone; a frozen one, too.
func (c *Cluster) Kill(i int) {
	c.t.Helper()
	c.running(i).kill()
}

// Pause freezes a member with SIGSTOP and waits until none of its threads runs any more.
func (c *Cluster) Pause(i int) {
	c.t.Helper()
	m := c.running(i)
	c.signal(m, syscall.SIGSTOP)
	for deadline := time.Now().Add(startLimit); !frozen(m.cmd.Process.Pid); {
		if time.Now().After(deadline) {
			c.t.Fatalf("testetcd: %s did not freeze", m.name)
		}
		time.Sleep(time.Millisecond) // the kernel tells nobody but a tracer when the last thread has stopped
	}
}

// frozen reports whether all threads of a process are stopped. Source: Linux, proc_pid_stat(5).
func frozen(pid int) bool {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(stats) == 0 {
		return false
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			return false
		}
		// The state follows the program's name, which stands in parentheses.
		_, after, _ := strings.Cut(string(text), ") ")
		if !strings.HasPrefix(after, "T") {
			return false
		}
	}
	return true
}

// Resume lets a frozen member go on.
func (c *Cluster) Resume(i int) { c.t.Helper(); c.signal(c.running(i), syscall.SIGCONT) }

// Wipe removes the data of a member that does not run. Only a cluster of one comes back from that, as a
// new cluster with another id whose revisions begin again.
func (c *Cluster) Wipe(i int) {
	c.t.Helper()
	m := c.members[i]
	if m.cmd != nil {
		c.t.Fatalf("testetcd: %s runs; stop it before its data is removed", m.name)
	}
	if err := os.RemoveAll(m.dir); err != nil {
		c.t.Fatalf("testetcd: remove data: %v", err)
	}
}

// Save copies the data of a member that does not run, and gives what puts the copy back, as somebody does who
// restores a backup. The member must not run then either.
func (c *Cluster) Save(i int) (restore func()) {
	c.t.Helper()
	m, copied := c.members[i], filepath.Join(c.t.TempDir(), "backup")
	if m.cmd != nil {
		c.t.Fatalf("testetcd: %s runs; stop it before its data is copied", m.name)
	}
	if err := os.CopyFS(copied, os.DirFS(m.dir)); err != nil {
		c.t.Fatalf("testetcd: copy data: %v", err)
	}
	return func() {
		c.t.Helper()
		c.Wipe(i)
		if err := os.CopyFS(m.dir, os.DirFS(copied)); err != nil {
			c.t.Fatalf("testetcd: restore data: %v", err)
		}
	}
}

// Log gives what a member has logged, for failure messages.
func (c *Cluster) Log(i int) string { return c.members[i].log() }

func (c *Cluster) running(i int) *member {
	c.t.Helper()
	m := c.members[i]
	if m.cmd == nil {
		c.t.Fatalf("testetcd: %s does not run", m.name)
	}
	return m
}

func (c *Cluster) signal(m *member, sig syscall.Signal) {
	c.t.Helper()
	if err := m.cmd.Process.Signal(sig); err != nil {
		c.t.Fatalf("testetcd: send %v to %s: %v", sig, m.name, err)
	}
}

func (c *Cluster) start(members ...*member) error {
	for _, m := range members {
		if err := c.spawn(m); err != nil {
			return err
		}
	}
	for _, m := range members {
		if err := m.wait(); err != nil {
			return fmt.Errorf("%w\n%s", err, m.log())
		}
	}
	return nil
}

func (c *Cluster) killAll() {
	for _, m := range c.members {
		m.kill()
	}
}

func (c *Cluster) spawn(m *member) error {
	path, err := program()
	if err != nil {
		c.t.Fatalf("testetcd: %v", err)
	}
	var peers []string
	for _, p := range c.members {
		peers = append(peers, p.name+"=http://"+p.peerAddr)
	}
	args := append(append([]string{}, m.wrap...), path, "-name", m.name, "-data-dir", m.dir, "-log-file", m.dir+".log",
		"-client-url", "http://"+m.clientAddr, "-peer-url", "http://"+m.peerAddr,
		"-initial-cluster", strings.Join(peers, ","), "-quota-backend-bytes", strconv.FormatInt(m.quota, 10))
	cmd := exec.Command(args[0], args[1:]...)
	errs := &strings.Builder{}
	cmd.Stderr = errs
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("start %s: %w", m.name, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start %s: %w", m.name, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", m.name, err)
	}
	ready, exited := make(chan error, 2), make(chan struct{})
	go func() {
		line, _ := bufio.NewReader(stdout).ReadString('\n')
		if line == "ready\n" {
			ready <- nil
		}
		// Wait closes the pipe, so it comes after the last read.
		err := cmd.Wait()
		ready <- fmt.Errorf("%s ended: %v: %s", m.name, err, errs)
		close(exited)
	}()
	m.cmd, m.stdin, m.ready, m.exited = cmd, stdin, ready, exited
	return nil
}

func (m *member) wait() error {
	select {
	case err := <-m.ready:
		return err
	case <-time.After(startLimit):
		return fmt.Errorf("%s did not serve within %v", m.name, startLimit)
	}
}

func (m *member) kill() {
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Kill() // an error says that it has ended already
	<-m.exited
	m.stdin.Close()
	m.cmd = nil
}

func (m *member) log() string {
	text, _ := os.ReadFile(m.dir + ".log")
	return string(text[max(0, len(text)-4000):])
}
