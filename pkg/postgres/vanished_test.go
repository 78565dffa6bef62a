package postgres

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestProgramsNoticeThatTheSourceHasVanished: the programs that copy from another server are told how long to wait for
// one that is silent for good, in words that they know.
func TestProgramsNoticeThatTheSourceHasVanished(t *testing.T) {
	p := primary(t)
	r := promotedBeside(t, p)
	sql(t, p, `CREATE TABLE public.lost (n int)`)
	_, err := p.Stop(t.Context(), cluster.StopFast, true)
	must(t, p, err)
	said := filepath.Join(filepath.Dir(p.cfg.DataDir), "said")
	p.cfg.BinNames = map[string]string{}
	for _, name := range []string{"pg_rewind", "pg_basebackup"} {
		path, err := filepath.Rel(p.cfg.BinDir, script(t, p.cfg, `echo "$@" >> `+said+"; exec "+p.cfg.program(name)+` "$@"`))
		must(t, p, err)
		p.cfg.BinNames[name] = path
	}
	must(t, p, p.Rewind(t.Context(), address(r)))
	must(t, p, p.Clone(t.Context(), cluster.Copy{From: address(r), Replace: true}))
	b, err := os.ReadFile(said)
	must(t, p, err)
	calls := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(calls) != 2 {
		t.Errorf("%d calls", len(calls))
	}
	for _, call := range calls {
		if !strings.Contains(call, " keepalives_idle=30 ") || !strings.Contains(call, " tcp_user_timeout=60000") {
			t.Errorf("called with %s", call)
		}
	}
}

// vanishing gives an address by which a server is reached until a session is ready. From then on nothing is heard of it,
// as when its machine is gone, or its disk hangs.
func vanishing(t *testing.T, i *Instance) cluster.Upstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", "127.0.0.1:"+portText(i.cfg.Port))
			if err != nil {
				client.Close()
				continue
			}
			t.Cleanup(func() { client.Close(); server.Close() })
			gone := make(chan struct{})
			go forward(client, server, gone)
			go func() {
				forward(server, client, nil)
				close(gone)
			}()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return cluster.Upstream{Member: i.cfg.Name, Host: "127.0.0.1", Port: port}
}

// forward goes on until gone, or without that until the server says that it is ready for a query.
func forward(from, to net.Conn, gone chan struct{}) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		select {
		case <-gone:
			return
		default:
		}
		if _, err := to.Write(buf[:n]); err != nil || gone == nil && bytes.HasSuffix(buf[:n], []byte("Z\x00\x00\x00\x05I")) {
			return
		}
	}
}

// TestAnswerThatNeverComes: a question with a limit has an end, also if the server is not there any more to keep it.
func TestAnswerThatNeverComes(t *testing.T) {
	p := primary(t)
	r := newInstance(t, newConfig(t, "node2"))
	for what, ask := range map[string]func(context.Context, cluster.Upstream) error{
		"a query": func(ctx context.Context, to cluster.Upstream) error { return r.mustBePrimary(ctx, to) },
		"a command of the replication protocol": func(ctx context.Context, to cluster.Upstream) error {
			return r.Clone(ctx, cluster.Copy{From: to})
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := ask(ctx, vanishing(t, p)); !errors.Is(err, errSilent) || ctx.Err() != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}
