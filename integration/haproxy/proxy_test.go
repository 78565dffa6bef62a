package haproxy

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/integration/testport"
	"github.com/hathi-ha/hathi/pkg/privilege"
)

// check is one port of the proxy with the health check behind it, as people write them.
type check struct{ name, httpchk string }

var checks = []check{
	{"primary", "OPTIONS /primary"},
	{"replica", "GET /replica HTTP/1.1"}, // without a Host header
	{"readonly", "GET /read-only?lag=1MB"},
	{"sync", "HEAD /sync"},
}

// ports are those of the programs in front of the cluster, by name.
type ports map[string]int

// start runs a program as the user of PostgreSQL until the test ends.
func start(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + program); err != nil {
			t.Fatalf("%s is missing, scripts/setup installs it: %v", program, err)
		}
	}
	cred, err := privilege.Credential("postgres")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	var log bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("--- %s\n%s", program, log.String())
		}
	})
}

func put(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// startProxy runs HAProxy in front of a cluster.
func startProxy(t *testing.T, c *testcluster.Cluster) ports {
	t.Helper()
	p := ports{}
	var b strings.Builder
	b.WriteString("global\n  maxconn 200\ndefaults\n  mode tcp\n  log stderr local0\n  timeout connect 4s\n  timeout client 30m\n  timeout server 30m\n  timeout check 2s\n")
	for _, k := range checks {
		p[k.name] = testport.Take(t)
		fmt.Fprintf(&b, "listen %s\n  bind 127.0.0.1:%d\n  option httpchk %s\n  http-check expect status 200\n", k.name, p[k.name], k.httpchk)
		b.WriteString("  default-server inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions\n")
		for _, n := range c.Nodes {
			fmt.Fprintf(&b, "  server %s 127.0.0.1:%d maxconn 50 check port %d\n", n.Name, n.Port, n.RESTPort)
		}
	}
	start(t, c.Dir, "haproxy", "-db", "-f", put(t, c.Dir, "haproxy.cfg", b.String()))
	return p
}

// startPool runs pgbouncer in front of the proxy's port of the primary.
func startPool(t *testing.T, c *testcluster.Cluster, primary int) int {
	t.Helper()
	port := testport.Take(t)
	users := put(t, c.Dir, "users.txt", "\"postgres\" \"secret-super\"\n")
	start(t, c.Dir, "pgbouncer", put(t, c.Dir, "pgbouncer.ini", fmt.Sprintf(`[databases]
postgres = host=127.0.0.1 port=%d dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
server_login_retry = 1
`, primary, port, users)))
	return port
}

// psql runs a query as people do, through a connection string of libpq.
func psql(conninfo, query string) (string, error) {
	cmd := exec.Command("psql", "-XAtq", "-d", conninfo+" user=postgres dbname=postgres connect_timeout=3", "-c", query)
	cmd.Env = append(os.Environ(), "PGPASSWORD=secret-super")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func at(port int) string { return fmt.Sprintf("host=127.0.0.1 port=%d", port) }

// who gives the port of the server that answers behind a port.
func who(port int) string {
	out, err := psql(at(port), "SELECT inet_server_port()")
	if err != nil {
		return "error: " + out
	}
	return out
}

const enough = 60 * time.Second

// behind waits until a port leads to one of the given nodes only.
func behind(t *testing.T, c *testcluster.Cluster, what string, port int, nodes ...*testcluster.Node) {
	t.Helper()
	last := ""
	deadline := time.Now().Add(enough)
	for hits := 0; hits < 6; time.Sleep(50 * time.Millisecond) { // the proxy tells nobody when it changes its mind
		last = who(port)
		right := false
		for _, n := range nodes {
			right = right || last == fmt.Sprint(n.Port)
		}
		if hits++; !right {
			hits = 0
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s leads to %s, want one of %v", what, last, names(nodes))
		}
	}
}

func names(nodes []*testcluster.Node) (list []string) {
	for _, n := range nodes {
		list = append(list, fmt.Sprintf("%s (%d)", n.Name, n.Port))
	}
	return list
}

// standby gives the member that /sync names.
func standby(c *testcluster.Cluster) *testcluster.Node {
	v := c.Look()
	if v == nil {
		return nil
	}
	for _, n := range c.Nodes {
		if v.Sync.HasStandby(n.Name) {
			return n
		}
	}
	return nil
}

// everybody checks where all ports lead, and what libpq finds by itself, and gives the synchronous standby.
func everybody(t *testing.T, c *testcluster.Cluster, p ports, leader *testcluster.Node) (sync *testcluster.Node) {
	t.Helper()
	behind(t, c, "/primary", p["primary"], leader)
	behind(t, c, "/replica", p["replica"], c.Replicas(leader)...)
	behind(t, c, "/read-only?lag=1MB", p["readonly"], c.Nodes...)
	c.WaitFor(enough, "a synchronous standby", func() bool { sync = standby(c); return sync != nil && sync != leader })
	behind(t, c, "/sync", p["sync"], sync)

	var hosts, list []string
	for _, n := range c.Nodes {
		hosts, list = append(hosts, "127.0.0.1"), append(list, fmt.Sprint(n.Port))
	}
	all := "host=" + strings.Join(hosts, ",") + " port=" + strings.Join(list, ",")
	for attrs, recovery := range map[string]string{"read-write": "f", "primary": "f", "standby": "t", "prefer-standby": "t", "read-only": "t"} {
		out, err := psql(all+" target_session_attrs="+attrs, "SELECT pg_is_in_recovery()")
		if err != nil || out != recovery {
			t.Errorf("target_session_attrs=%s: %s (%v), want %s", attrs, out, err, recovery)
		}
	}
	return sync
}

func TestSwitchoverBehindProxies(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{DCS: "synchronous_mode: true", TTL: 10, LoopWait: 2, Retry: 3})
	p := startProxy(t, c)
	pool := startPool(t, c, p["primary"])
	old := c.Primary()
	next := everybody(t, c, p, old)
	write := func() bool {
		_, err := psql(at(pool), "INSERT INTO seen VALUES (DEFAULT)")
		return err == nil
	}
	c.WaitFor(enough, "an answer of pgbouncer", func() bool {
		_, err := psql(at(pool), "CREATE TABLE IF NOT EXISTS seen (at timestamptz DEFAULT now())")
		return err == nil
	})
	if !write() {
		t.Fatal("pgbouncer refuses a write before the switchover")
	}

	began := time.Now()
	c.Hathi("switchover", c.Scope, "--leader", old.Name, "--candidate", next.Name, "--force")
	c.WaitFor(enough, "a write through pgbouncer", write)
	t.Logf("%s from the command to the first write through pgbouncer and HAProxy", time.Since(began).Round(time.Millisecond))
	c.WaitFor(enough, next.Name+" leading", func() bool { return c.Leader() == next })
	c.WaitHealthy(enough)
	everybody(t, c, p, next)
	if rows, err := psql(at(p["replica"]), "SELECT count(*) FROM seen"); err != nil || rows < "2" {
		t.Errorf("rows behind /replica: %s (%v), want 2 or more", rows, err)
	}
}
