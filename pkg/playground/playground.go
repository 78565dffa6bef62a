package playground

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
	"github.com/hathi-ha/hathi/pkg/privilege"
	"github.com/hathi-ha/hathi/pkg/view"
)

// Options say how a playground is made. Zero values choose the defaults.
type Options struct {
	// Nodes is the number of members, three by default.
	Nodes int
	// BinDir is the directory of PostgreSQL's programs; empty: the newest that is found.
	BinDir string
	// Self is the program that runs the nodes: hathi itself.
	Self string
	// Out is where progress and the final picture go.
	Out io.Writer
	// Snapshot reads the cluster through etcd at host:port.
	Snapshot func(ctx context.Context, address, scope string) (*cluster.View, error)
}

// Playground is a running cluster on this machine.
type Playground struct {
	o        Options
	scope    string
	dir      string
	binDir   string
	etcdPort int
	nodes    []*node
}

// Run makes a cluster, shows how to use it and keeps it until ctx ends; then it stops and removes
// everything that it made.
func Run(ctx context.Context, o Options) error {
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	if o.Nodes < 1 || o.Nodes > 9 {
		return fmt.Errorf("a playground has 1 to 9 nodes, not %d", o.Nodes)
	}
	p := &Playground{o: o, scope: "playground"}
	var err error
	if p.binDir, err = findPostgres(o.BinDir); err != nil {
		return err
	}
	if p.dir, err = os.MkdirTemp("", "hathi-playground-"); err != nil {
		return fmt.Errorf("make a directory for the playground: %w", err)
	}
	defer os.RemoveAll(p.dir)
	if err := p.up(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // interrupted on the way: that is no failure
		}
		return err
	}
	<-ctx.Done()
	return nil
}

// up starts everything, waits for the cluster and for the end, and takes everything down again.
func (p *Playground) up(ctx context.Context) error {
	cred, err := serverCredential()
	if err != nil {
		return err
	}
	// The server user has to pass through, but only through.
	if err := os.Chmod(p.dir, 0o711); err != nil {
		return fmt.Errorf("open the playground's directory: %w", err)
	}
	ports, err := freePorts(2 + 2*p.o.Nodes)
	if err != nil {
		return err
	}
	p.say("PostgreSQL programs in %s, everything else in %s", p.binDir, p.dir)
	p.etcdPort = ports[0]
	etcd, err := startEtcd(ctx, p.dir, ports[0], ports[1])
	if err != nil {
		return err
	}
	defer etcd.Close()
	p.say("etcd serves at 127.0.0.1:%d", p.etcdPort)

	for i := range p.o.Nodes {
		name := fmt.Sprintf("node%d", i+1)
		dir := filepath.Join(p.dir, name)
		n := &node{name: name, port: ports[2+2*i], restPort: ports[3+2*i], dir: dir, config: dir + ".yml", log: dir + ".log"}
		if err := n.write(p, cred); err != nil {
			return err
		}
		p.nodes = append(p.nodes, n)
	}
	defer p.down()
	for _, n := range p.nodes {
		if err := n.start(p.o.Self, cred); err != nil {
			return err
		}
	}
	if err := p.wait(ctx); err != nil {
		return err
	}
	p.show(ctx)
	<-ctx.Done()
	return nil
}

// down ends the nodes. All but the last are replicas of somebody, so the order does not matter much.
func (p *Playground) down() {
	p.say("\nstopping the playground ...")
	ended := make(chan struct{})
	for _, n := range p.nodes {
		go func() {
			n.stop(20 * time.Second)
			ended <- struct{}{}
		}()
	}
	for range p.nodes {
		<-ended
	}
	p.say("everything is stopped, and %s is removed", p.dir)
}

// startLimit is how long the cluster may take to form.
const startLimit = 2 * time.Minute

// wait shows what the members do until all are there.
func (p *Playground) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, errors.New("the cluster did not form in "+startLimit.String()))
	defer cancel()
	shown := map[string]string{}
	for {
		v, err := p.o.Snapshot(ctx, fmt.Sprintf("127.0.0.1:%d", p.etcdPort), p.scope)
		if err == nil && p.progress(v, shown) {
			return nil
		}
		for _, n := range p.nodes {
			if n.ended() {
				return fmt.Errorf("%s ended; the end of its log:\n%s", n.name, n.tail(4000))
			}
		}
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), context.Canceled) {
				return context.Cause(ctx)
			}
			return fmt.Errorf("%w; the end of the log of %s:\n%s", context.Cause(ctx), p.nodes[0].name, p.nodes[0].tail(4000))
		case <-time.After(100 * time.Millisecond): // a picture for people; a watch would be no better
		}
	}
}

// progress says what has changed since the last look, and whether the cluster is complete.
func (p *Playground) progress(v *cluster.View, shown map[string]string) bool {
	ready := v.Locked()
	for _, n := range p.nodes {
		m, ok := v.Member(n.name)
		state := string(m.State)
		if m.ReplicationState != "" {
			state = m.ReplicationState
		}
		if v.Leader.Name == n.name && m.State == cluster.StateRunning && m.Role == cluster.RolePrimary {
			state = "leader, " + state
		}
		if ok && shown[n.name] != state {
			shown[n.name] = state
			p.say("%s: %s", n.name, state)
		}
		ready = ready && (strings.HasPrefix(state, "leader") || state == "streaming")
	}
	return ready
}

func (p *Playground) show(ctx context.Context) {
	v, err := p.o.Snapshot(ctx, fmt.Sprintf("127.0.0.1:%d", p.etcdPort), p.scope)
	if err != nil {
		p.say("could not read the cluster: %v", err)
		return
	}
	table, err := view.Members(ctl.Describe(p.scope, v), view.FormatPretty, false)
	if err != nil {
		p.say("could not draw the members: %v", err)
		return
	}
	var hosts, ports []string
	for _, n := range p.nodes {
		hosts, ports = append(hosts, "127.0.0.1"), append(ports, fmt.Sprint(n.port))
	}
	config := p.nodes[0].config
	p.say("\n%s", strings.TrimRight(string(table), "\n"))
	p.say(`
Connect to whoever is the primary (password: playground):
  psql "host=%s port=%s user=postgres password=playground dbname=postgres target_session_attrs=read-write"
Each node:`, strings.Join(hosts, ","), strings.Join(ports, ","))
	for _, n := range p.nodes {
		p.say("  %s  postgres://postgres:playground@127.0.0.1:%d/postgres   REST http://127.0.0.1:%d   log %s", n.name, n.port, n.restPort, n.log)
	}
	p.say(`
Try, in another terminal:
  %[1]s -c %[2]s list -W
  %[1]s -c %[2]s switchover --force
  kill -9 $(head -1 %[3]s/data/postmaster.pid)   # a crash
  %[1]s -c %[2]s history
  curl -s http://127.0.0.1:%[4]d/cluster

Ctrl-C stops everything and removes it.`, p.command(), config, p.nodes[0].dir, p.nodes[0].restPort)
}

// command is how the user called this program.
func (p *Playground) command() string {
	name := filepath.Base(p.o.Self)
	if found, err := exec.LookPath(name); err == nil && found == p.o.Self {
		return name
	}
	return p.o.Self
}

func (p *Playground) say(format string, args ...any) {
	fmt.Fprintf(p.o.Out, format+"\n", args...)
}

// serverCredential is the user that the nodes run as: ourselves, or the server user when we are root.
func serverCredential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	cred, err := privilege.Credential(serverUser)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: %w; create the user with: useradd --system %s", err, serverUser)
	}
	return cred, nil
}

// freePorts asks the kernel for ports that nobody uses; all are held until the last is known.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
