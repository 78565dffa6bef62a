package testcluster

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hathi-ha/hathi/integration/leftover"
)

// Node is one node: hathi run with its guard, agent and PostgreSQL, or Patroni with its PostgreSQL.
type Node struct {
	Name, Dir, Data, Config string
	Port, RESTPort          int
	// Listen is the address of the node; empty: 127.0.0.1.
	Listen string
	// Wrap is put before the command that starts the node, such as "ip netns exec x".
	Wrap []string
	// Patroni is whether Patroni runs the node, not hathi; it may change while the node is down.
	Patroni bool

	c    *Cluster
	cred *syscall.Credential
	bin  string
	cmd  *exec.Cmd
	done chan struct{}
}

func (n *Node) prepare(pgBin string) error {
	if n.Listen == "" {
		n.Listen = "127.0.0.1"
	}
	if err := os.MkdirAll(n.Dir, 0o755); err != nil {
		return err
	}
	if n.cred != nil {
		if err := os.Chown(n.Dir, int(n.cred.Uid), int(n.cred.Gid)); err != nil {
			return err
		}
	}
	return os.WriteFile(n.Config, []byte(n.yaml(pgBin)), 0o644)
}

func (n *Node) yaml(pgBin string) string {
	o := n.c.o
	return fmt.Sprintf(`scope: %s
name: %s
restapi:
  listen: %[3]s:%[4]d
  connect_address: %[3]s:%[4]d
etcd3:
  hosts: [%[5]s]
bootstrap:
  dcs:
    ttl: %d
    loop_wait: %d
    retry_timeout: %d
    maximum_lag_on_failover: %[18]d
    postgresql:
      use_pg_rewind: true
      parameters:
        hot_standby: on
        max_connections: 50
        max_wal_senders: 10
%[9]s
  initdb:
    - encoding: UTF8
    - data-checksums
%[16]s
postgresql:
  listen: %[3]s:%[10]d
  connect_address: %[3]s:%[10]d
  data_dir: %[11]s
  bin_dir: %[12]s
  pgpass: %[13]s
  authentication:
    superuser: {username: postgres, password: secret-super}
    replication: {username: replicator, password: secret-repl}
  parameters:
    shared_buffers: 16MB
    unix_socket_directories: %[14]s
    wal_keep_size: 64MB
    logging_collector: off
    log_min_messages: log
  pg_hba:
    - local all all trust
    - host all all 0.0.0.0/0 md5
    - host replication replicator 0.0.0.0/0 md5
%[17]s
%[15]s
`, n.c.Scope, n.Name, n.Listen, n.RESTPort, strings.Join(n.c.etcdAddresses(), ", "),
		o.TTL, o.LoopWait, o.Retry, n.own(o.DCS, "    "),
		n.Port, n.Data, pgBin, filepath.Join(n.Dir, "pgpass"), n.Dir, o.Node,
		n.own(o.Bootstrap, "  "), n.own(o.Postgres, "  "), o.MaximumLag)
}

// own puts the node's directories into text that is the same for all nodes.
func (n *Node) own(text, by string) string {
	return indent(strings.NewReplacer("{data}", n.Data, "{dir}", n.Dir).Replace(text), by)
}

func indent(text, by string) string {
	if text == "" {
		return ""
	}
	return by + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+by)
}

// Run starts the node; it must not be running.
func (n *Node) Run() {
	n.c.T.Helper()
	log, err := os.OpenFile(n.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		n.c.T.Fatal(err)
	}
	defer log.Close()
	args := append(slices.Clone(n.Wrap), n.program()...)
	n.cmd = exec.Command(args[0], args[1:]...)
	n.cmd.Stdout, n.cmd.Stderr, n.cmd.Dir = log, log, n.Dir
	n.cmd.Env = append(os.Environ(), "HOME="+n.Dir)
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: n.cred, Setsid: true}
	if len(n.Wrap) > 0 {
		n.cmd.SysProcAttr.Credential = nil // entering a namespace needs root; hathi run gives it up itself
	}
	if err := n.cmd.Start(); err != nil {
		n.c.T.Fatalf("start %s: %v", n.Name, err)
	}
	n.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait()
		close(done)
	}(n.cmd, n.done)
}

// program is the command that runs the node.
func (n *Node) program() []string {
	if n.Patroni {
		return []string{"/usr/bin/patroni", n.Config}
	}
	return []string{n.bin, "run", n.Config}
}

func (n *Node) logPath() string { return filepath.Join(n.c.Dir, n.Name+".log") }

// Guard is the process id of the guard, zero if there is none at this moment: the process that hathi run
// started as, or the one that has taken its place. Patroni's only process is its guard and its agent.
func (n *Node) Guard() int {
	if n.Patroni {
		return n.patroni()
	}
	if pid := n.hathi("guard"); pid != 0 {
		return pid
	}
	return n.hathi("run")
}

// Agent is the process id of the agent, zero if there is none at this moment.
func (n *Node) Agent() int {
	if n.Patroni {
		return n.patroni()
	}
	return n.hathi("agent")
}

// patroni finds the process of Patroni that runs the node.
func (n *Node) patroni() int {
	for _, p := range leftover.Processes() {
		if len(p.Args) > 2 && filepath.Base(p.Args[1]) == "patroni" && p.Args[2] == n.Config && p.State != "Z" {
			return p.PID
		}
	}
	return 0
}

// hathi finds the newest process of the node that runs a command of hathi.
func (n *Node) hathi(command string) int {
	newest := 0
	for _, p := range leftover.Processes() {
		if len(p.Args) > 2 && filepath.Base(p.Args[0]) == "hathi" && p.Args[1] == command && p.Args[2] == n.Config && p.State != "Z" {
			newest = max(newest, p.PID)
		}
	}
	return newest
}

// Postmaster is the process id of the node's postmaster, zero if there is none.
func (n *Node) Postmaster() int {
	raw, err := os.ReadFile(filepath.Join(n.Data, "postmaster.pid"))
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	pid, _ := strconv.Atoi(strings.TrimSpace(line))
	if pid <= 0 || syscall.Kill(pid, 0) != nil {
		return 0
	}
	return pid
}

// Child is a process of a server other than the postmaster.
type Child struct {
	PID int
	// Title is what it shows of itself behind the name of the cluster, such as "walsender replicator ...".
	Title string
}

// Children are the processes of the node's PostgreSQL but for the postmaster.
func (n *Node) Children() []Child {
	var children []Child
	postmaster := n.Postmaster()
	for _, p := range leftover.Processes() {
		if title, ok := strings.CutPrefix(p.Args[0], "postgres: "); ok && p.Cwd == n.Data && p.State != "Z" && p.PID != postmaster {
			children = append(children, Child{p.PID, strings.TrimPrefix(title, n.c.Scope+": ")})
		}
	}
	return children
}

// Backends are the process ids of the children.
func (n *Node) Backends() []int {
	var pids []int
	for _, c := range n.Children() {
		pids = append(pids, c.PID)
	}
	return pids
}

// Receiver is the process id of the node's WAL receiver, zero if there is none at this moment.
func (n *Node) Receiver() int {
	for _, c := range n.Children() {
		if strings.HasPrefix(c.Title, "walreceiver") {
			return c.PID
		}
	}
	return 0
}

// Programs are the processes of a program, such as pg_rewind, that work on the node's data.
func (n *Node) Programs(name string) []int {
	var pids []int
	for _, p := range leftover.Processes() {
		on := func(arg string) bool { return strings.Contains(arg, n.Data) }
		if filepath.Base(p.Args[0]) == name && p.State != "Z" && slices.ContainsFunc(p.Args, on) {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// Terminate ends the node the clean way and waits for it.
func (n *Node) Terminate(limit time.Duration) {
	n.c.T.Helper()
	deadline := time.Now().Add(limit)
	for told := 0; n.Guard() != 0 || n.Agent() != 0 || n.Running(); {
		if guard := n.Guard(); guard != 0 && guard != told { // another one may take the place of the first just now
			signal(syscall.SIGTERM, guard)
			told = guard
		}
		if time.Now().After(deadline) {
			n.c.T.Fatalf("%s did not end within %s after SIGTERM", n.Name, limit)
		}
		time.Sleep(10 * time.Millisecond) // several processes without a common parent: nothing to wait on
	}
}

// Running reports whether hathi run has not ended.
func (n *Node) Running() bool {
	if n.cmd == nil {
		return false
	}
	select {
	case <-n.done:
		return false
	default:
		return true
	}
}

// Destroy kills everything of the node: guard, agent, PostgreSQL and its children.
func (n *Node) Destroy() {
	if err := leftover.End(n.mine); err != nil {
		n.c.T.Error(err)
	}
	if n.cmd != nil && n.done != nil {
		<-n.done
	}
}

// ResidentKiB gives the resident and the private memory of a process.
func ResidentKiB(pid int) (resident, private int) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) < 2 {
			continue
		}
		value, _ := strconv.Atoi(fields[1])
		switch fields[0] {
		case "VmRSS:":
			resident = value
		case "RssAnon:":
			private = value
		}
	}
	return resident, private
}

// LogTail gives the last lines of the node's log.
func (n *Node) LogTail(lines int) string {
	raw, _ := os.ReadFile(n.logPath())
	all := strings.Split(string(raw), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Log gives the whole log.
func (n *Node) Log() string {
	raw, _ := os.ReadFile(n.logPath())
	return string(raw)
}

// URL gives the connection string of the node's superuser.
func (n *Node) URL() string {
	return fmt.Sprintf("postgres://postgres:secret-super@%s:%d/postgres?sslmode=disable", n.Listen, n.Port)
}

// SQL runs a statement on the node and gives the first column of its first row as text.
func (n *Node) SQL(query string) (string, error) { return ask(n.URL(), query) }

func ask(where, query string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, where)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	results, err := conn.PgConn().Exec(ctx, query).ReadAll()
	if err != nil {
		return "", err
	}
	for _, r := range results {
		if len(r.Rows) > 0 && len(r.Rows[0]) > 0 {
			return string(r.Rows[0][0]), nil
		}
	}
	return "", nil
}

// Exec runs a program as the user of the node.
func (n *Node) Exec(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = n.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: n.cred}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// ExitCode is the exit code of hathi run after it has ended.
func (n *Node) ExitCode() int {
	<-n.done
	return n.cmd.ProcessState.ExitCode()
}

// Own gives files to the user that the node runs as.
func (n *Node) Own(paths ...string) {
	n.c.T.Helper()
	if n.cred == nil {
		return
	}
	for _, p := range paths {
		if err := os.Chown(p, int(n.cred.Uid), int(n.cred.Gid)); err != nil {
			n.c.T.Fatal(err)
		}
	}
}
