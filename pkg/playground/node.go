package playground

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// node is one member: hathi run as a process of its own.
type node struct {
	name             string
	port, restPort   int
	dir, config, log string
	cmd              *exec.Cmd
	done             chan struct{}
}

// nodeConfig is the file of one node; it is the kind of file that Patroni takes, too.
const nodeConfig = `scope: %s
name: %s

restapi:
  listen: 127.0.0.1:%[3]d
  connect_address: 127.0.0.1:%[3]d

etcd3:
  host: 127.0.0.1:%[4]d

bootstrap:
  dcs:
    ttl: 30
    loop_wait: 10
    retry_timeout: 10
    maximum_lag_on_failover: 1048576
    postgresql:
      use_pg_rewind: true
  initdb:
    - encoding: UTF8
    - data-checksums

postgresql:
  listen: 127.0.0.1:%[5]d
  connect_address: 127.0.0.1:%[5]d
  data_dir: %[6]s/data
  bin_dir: %[7]s
  pgpass: %[6]s/pgpass
  authentication:
    superuser:
      username: postgres
      password: playground
    replication:
      username: replicator
      password: playground
  parameters:
    unix_socket_directories: %[6]s
    shared_buffers: 32MB
  pg_hba:
    - local all all trust
    - host all all 127.0.0.1/32 md5
    - host replication replicator 127.0.0.1/32 md5
`

// write makes the directory and the configuration of the node.
func (n *node) write(p *Playground, cred *syscall.Credential) error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return fmt.Errorf("make directory of %s: %w", n.name, err)
	}
	text := fmt.Sprintf(nodeConfig, p.scope, n.name, n.restPort, p.etcdPort, n.port, n.dir, p.binDir)
	if err := os.WriteFile(n.config, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write configuration of %s: %w", n.name, err)
	}
	if cred == nil {
		return nil
	}
	for _, path := range []string{n.dir, n.config} {
		if err := os.Chown(path, int(cred.Uid), int(cred.Gid)); err != nil {
			return fmt.Errorf("give %s to the server user: %w", path, err)
		}
	}
	return nil
}

// start starts the node. Its process group is its own, so that Ctrl-C reaches only the playground, which
// then ends the nodes in order.
func (n *node) start(self string, cred *syscall.Credential) error {
	log, err := os.Create(n.log)
	if err != nil {
		return fmt.Errorf("open log of %s: %w", n.name, err)
	}
	defer log.Close()
	// The path of the program may lead through directories that only root may enter; the kernel's link does not.
	n.cmd = exec.Command("/proc/self/exe", "run", n.config)
	n.cmd.Args[0] = filepath.Base(self)
	n.cmd.Stdout, n.cmd.Stderr, n.cmd.Dir = log, log, n.dir
	n.cmd.Env = append(os.Environ(), "HOME="+n.dir)
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: cred}
	if err := n.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	n.done = make(chan struct{})
	go func() {
		_ = n.cmd.Wait() // how it ended is in its log
		close(n.done)
	}()
	return nil
}

// ended reports whether the node's process is gone.
func (n *node) ended() bool {
	select {
	case <-n.done:
		return true
	default:
		return false
	}
}

// stop ends the node the clean way, and by force if that takes longer than the limit.
func (n *node) stop(limit time.Duration) {
	if n.cmd == nil || n.done == nil {
		return
	}
	_ = n.cmd.Process.Signal(syscall.SIGTERM) // gone already is as good
	select {
	case <-n.done:
		return
	case <-time.After(limit):
	}
	killTree(filepath.Join(n.dir, "data"), n.config)
	<-n.done
}

// tail gives the end of the node's log.
func (n *node) tail(bytes int64) string {
	f, err := os.Open(n.log)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > bytes {
		_, _ = f.Seek(-bytes, io.SeekEnd) // from the beginning is as good
	}
	text, _ := io.ReadAll(f)
	return string(text)
}
