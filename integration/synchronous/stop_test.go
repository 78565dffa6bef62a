package synchronous

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// aborting is what the log says when a stop has taken primary_stop_timeout.
const aborting = "Timeout during postmaster stop, aborting Postgres."

// TestStopTimeout: a primary with a session that does not end is stopped at once after primary_stop_timeout, and a synchronous
// standby leads. Without the mode, or without the timeout, the stop waits for the session.
func TestStopTimeout(t *testing.T) {
	r := &run{t: t, Cluster: testcluster.Start(t, testcluster.Options{
		TTL: 12, LoopWait: 2, Retry: 2, DCS: "synchronous_mode: on\nprimary_stop_timeout: 3",
	})}
	for _, step := range []struct {
		name string
		run  func(*run)
	}{
		{"a switchover", (*run).abortedSwitchover},
		{"a failover to who is not listed", (*run).abortedFailover},
		{"the end of the agent", (*run).abortedEnd},
		{"no timeout", func(r *run) { r.waitsForSession(`{"primary_stop_timeout": 0}`, 1) }},
		{"no synchronous mode", func(r *run) { r.waitsForSession(`{"primary_stop_timeout": 3, "synchronous_mode": false}`, 0) }},
	} {
		if !t.Run(step.name, func(t *testing.T) {
			r.t, r.T = t, t
			step.run(r)
		}) {
			return
		}
	}
}

func (r *run) abortedSwitchover() {
	leader := r.listed(1, 0)
	standby := r.Node(r.View().Sync.Standbys[0])
	log := len(leader.Log())
	r.accounted(func() {
		r.hang(leader)
		began := time.Now()
		r.Hathi("switchover", "--candidate", standby.Name, "--force")
		r.WaitFor(enough, "the standby leading", func() bool { return r.Leader() == standby })
		r.aborted(leader, log, began)
	})
}

// abortedFailover: who is not listed may lack what was acknowledged, so the old primary goes on.
func (r *run) abortedFailover() {
	leader := r.listed(1, 0)
	unlisted := r.Replicas(leader)[0]
	if r.View().Sync.HasStandby(unlisted.Name) {
		unlisted = r.Replicas(leader)[1]
	}
	log := len(leader.Log())
	r.accounted(func() {
		r.hang(leader)
		began := time.Now()
		if out, err := r.TryHathi("", "failover", "--candidate", unlisted.Name, "--force"); err == nil {
			r.t.Errorf("the failover to %s was done:\n%s", unlisted.Name, out)
		}
		r.WaitFor(enough, "the old primary again", func() bool { return r.Leader() == leader && r.primary(leader) })
		r.aborted(leader, log, began)
	})
}

func (r *run) abortedEnd() {
	leader := r.listed(1, 0)
	standby := r.Node(r.View().Sync.Standbys[0])
	log := len(leader.Log())
	r.accounted(func() {
		r.hang(leader)
		began := time.Now()
		leader.Terminate(10 * time.Second)
		r.WaitFor(5*time.Second, "the standby leading, before the lease has ended", func() bool { return r.Leader() == standby })
		r.aborted(leader, log, began)
		leader.Run()
	})
}

// waitsForSession: a switchover is done when the session has ended, and not before.
func (r *run) waitsForSession(config string, standbys int) {
	r.Primary().Configure(config)
	leader := r.WaitHealthy(enough)
	r.WaitFor(enough, fmt.Sprintf("%d synchronous standbys", standbys), func() bool { v := r.Look(); return v != nil && len(v.Sync.Standbys) == standbys })
	candidate := r.Replicas(leader)[0]
	if standbys > 0 {
		candidate = r.Node(r.View().Sync.Standbys[0])
	}
	log := len(leader.Log())
	r.accounted(func() {
		end := r.hang(leader)
		done := make(chan string)
		go func() {
			out, _ := r.TryHathi("", "switchover", "--leader", leader.Name, "--candidate", candidate.Name, "--force")
			done <- out
		}()
		r.WaitFor(enough, "the stop", func() bool { return strings.Contains(leader.Log()[log:], "Demoting self (graceful)") })
		time.Sleep(6 * time.Second) // nothing is expected to happen
		if v := r.View(); leader.Postmaster() == 0 || v.Leader.Name != leader.Name {
			r.t.Errorf("%s has given up before the session has ended; %q leads", leader.Name, v.Leader.Name)
		}
		end()
		<-done
		r.WaitFor(enough, "the candidate leading", func() bool { return r.Leader() == candidate })
		if strings.Contains(leader.Log()[log:], aborting) {
			r.t.Error("the stop was aborted")
		}
	})
}

// aborted: the stop that began took the timeout, and was aborted then.
func (r *run) aborted(n *testcluster.Node, log int, began time.Time) {
	r.t.Helper()
	if took := time.Since(began); took < 3*time.Second {
		r.t.Errorf("the stop took only %s", took)
	}
	if text := n.Log()[log:]; !strings.Contains(text, aborting) {
		r.t.Errorf("the stop was not aborted:\n%s", text)
	}
}

// hang opens a session of n that hears no request to end while its program runs, and gives what ends that.
func (r *run) hang(n *testcluster.Node) (end func()) {
	r.t.Helper()
	flag := filepath.Join(n.Dir, "session")
	if err := os.WriteFile(flag, nil, 0o644); err != nil {
		r.t.Fatal(err)
	}
	conn, err := pgx.Connect(context.Background(), n.URL())
	if err != nil {
		r.t.Fatal(err)
	}
	began := filepath.Join(n.Dir, "began")
	_ = os.Remove(began)
	go func() {
		_, _ = conn.Exec(context.Background(), `COPY (SELECT 1) TO PROGRAM 'trap "" TERM; touch `+began+`; while [ -e `+flag+` ]; do sleep 0.1; done'`)
		_ = conn.Close(context.Background())
	}()
	r.WaitFor(10*time.Second, "the session's program", func() bool { _, err := os.Stat(began); return err == nil })
	return func() {
		if err := os.Remove(flag); err != nil {
			r.t.Error(err)
		}
	}
}

// primary reports whether a node's server accepts writes.
func (r *run) primary(n *testcluster.Node) bool {
	in, err := n.SQL("SELECT pg_is_in_recovery()")
	return err == nil && in == "f"
}
