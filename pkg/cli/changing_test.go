package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
)

// changes is a command line of every command that changes something, with what it needs to get that far.
var changes = []struct{ args, input string }{
	{"switchover --candidate node2", "\n\ny\n"},
	{"failover --candidate node2", "y\n"},
	{"pause", ""},
	{"resume", ""},
	{"edit-config -s ttl=40", "y\n"},
	{"reinit demo node2", "y\n"},
	{"restart demo node2", "\ny\n\n"},
	{"reload demo node2", "y\n"},
	{"flush demo restart", "y\n"},
	{"flush demo switchover", ""},
	{"remove demo", "demo\nYes I am aware\nnode1\n"},
	{"demote-cluster --host far", "y\n"},
	{"promote-cluster", "y\n"},
}

// suited is a cluster that the command can do something to.
func suited(args string) *cluster.View {
	return demo(func(v *cluster.View) {
		config := `{"ttl": 30}`
		switch {
		case args == "resume":
			config = `{"pause": true}`
		case strings.HasPrefix(args, "promote"):
			v.Members[0].Role = cluster.RoleStandbyLeader
		}
		v.Config = cluster.Document{Present: true, Raw: []byte(config)}
		v.Failover = cluster.FailoverRequest{Leader: "node1", ScheduledAt: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
		v.Members[1].ScheduledRestart = &cluster.ScheduledRestart{Schedule: "2030-01-01T00:00:00+00:00"}
	})
}

// TestChangesAreKnown holds the list against the commands: each that has --dry-run is in it.
func TestChangesAreKnown(t *testing.T) {
	var listed, there []string
	for _, c := range changes {
		listed = append(listed, strings.Fields(c.args)[0])
	}
	for _, cmd := range newEnv("hathi", strings.NewReader(""), io.Discard, io.Discard).controlCommands() {
		if cmd.Flags().Lookup("dry-run") != nil {
			there = append(there, cmd.Name())
		}
	}
	slices.Sort(listed)
	slices.Sort(there)
	if listed = slices.Compact(listed); !slices.Equal(listed, there) {
		t.Errorf("commands with --dry-run: %q, tested: %q", there, listed)
	}
}

// TestDryRun: nothing is sent or written, and it is said what would be.
func TestDryRun(t *testing.T) {
	for _, c := range changes {
		f := &fakeCluster{views: []*cluster.View{suited(c.args)}}
		got, _ := run(t, f, "hathi", "", append(strings.Fields(c.args), "--dry-run")...)
		if len(f.sent)+len(f.written)+len(f.configs)+len(f.removed) > 0 {
			t.Errorf("%s --dry-run has sent %q and written %v %q %q", c.args, f.sent, f.written, f.configs, f.removed)
		}
		if !strings.Contains(got, "Would send: ") {
			t.Errorf("%s --dry-run says\n%s", c.args, got)
		}
	}
}

// TestMachineOutput: standard output is one object that tells what the exit code tells, whether the members answer,
// refuse, can't be reached, or nobody answers the questions.
func TestMachineOutput(t *testing.T) {
	for _, c := range changes {
		for name, e := range map[string]struct {
			answers func() map[string][]ctl.Answer
			input   string
		}{
			"refused":     {func() map[string][]ctl.Answer { return everywhere(503, "no") }, c.input},
			"unreachable": {nil, c.input},
			"no answers":  {func() map[string][]ctl.Answer { return everywhere(503, "no") }, ""},
		} {
			f := &fakeCluster{views: []*cluster.View{suited(c.args)}, lost: 1}
			if e.answers != nil {
				f.answers = e.answers()
			}
			var out, errs bytes.Buffer
			code := runApart(t, f, "hathi", e.input, &out, &errs, append(strings.Fields(c.args), "--format", "json")...)
			var result struct {
				Command, Cluster string
				OK               *bool
			}
			if err := json.Unmarshal(out.Bytes(), &result); err != nil || strings.Count(out.String(), "\n") != 1 {
				t.Errorf("%s, %s: standard output is not one object (%v):\n%s\nstandard error:\n%s", c.args, name, err, out.String(), errs.String())
				continue
			}
			if result.OK == nil || *result.OK != (code == 0) || result.Cluster != "demo" || result.Command != strings.Fields(c.args)[0] {
				t.Errorf("%s, %s: exit code %d with %s", c.args, name, code, out.String())
			}
		}
	}
}

// TestInputEnds: an end of input before any of the questions is a refusal, and nothing is done. Input is lines, so a
// command that has one more question than it gets answers waits for nobody.
func TestInputEnds(t *testing.T) {
	for _, c := range changes {
		lines := strings.SplitAfter(c.input, "\n")
		for n := range len(lines) - 1 {
			for program, last := range map[string]string{"patronictl": "Aborted!\n", "hathi": "Aborted! The input ended before the question was answered.\n"} {
				f := &fakeCluster{views: []*cluster.View{suited(c.args)}, answers: everywhere(200, "done")}
				got, code := run(t, f, program, strings.Join(lines[:n], ""), strings.Fields(c.args)...)
				if code != 1 || !strings.HasSuffix(got, last) {
					t.Errorf("%s %s after %d answers: exit %d\n%s", program, c.args, n, code, got)
				}
				if len(f.sent)+len(f.written)+len(f.configs)+len(f.removed) > 0 {
					t.Errorf("%s %s after %d answers has sent %q and written %v %q %q", program, c.args, n, f.sent, f.written, f.configs, f.removed)
				}
			}
		}
	}
}

// TestMemberForCluster: who forgets the name of the cluster is told.
func TestMemberForCluster(t *testing.T) {
	for program, told := range map[string]string{"patronictl": "", "hathi": "node2 is a member of cluster demo; the name of the cluster comes first: demo node2\n"} {
		f := &fakeCluster{views: []*cluster.View{{}, demo(nil)}}
		got, code := run(t, f, program, "", "restart", "node2", "--force")
		if want := told + "Error: node2 cluster doesn't have any members\n"; got != want || code != 1 || len(f.sent) > 0 {
			t.Errorf("%s: exit %d, sent %q\n%s\nwant\n%s", program, code, f.sent, got, want)
		}
	}
}

// everywhere is the same answer of all members to all requests.
func everywhere(status int, body string) map[string][]ctl.Answer {
	all := map[string][]ctl.Answer{}
	for _, member := range []string{"node1", "node2", "node3"} {
		for _, request := range []string{
			"POST %/switchover", "POST %/failover", "PATCH %/config", "POST %/reinitialize", "POST %/restart", "DELETE %/restart",
			"DELETE %/switchover", "POST %/reload",
		} {
			all[strings.ReplaceAll(request, "%", member)] = answer(status, body)
		}
	}
	return all
}

// TestUnknownCluster: a name without keys is told of, for it is mistyped or the cluster was never founded.
func TestUnknownCluster(t *testing.T) {
	const want = "No cluster \"nosuch\" is known to etcd.\n"
	for _, args := range []string{
		"list", "topology", "history", "show-config", "dsn", "version", "pause", "resume", "edit-config -s ttl=40",
		"switchover --force", "failover --candidate node2 --force", "demote-cluster --host far --force", "promote-cluster --force", "flush switchover",
	} {
		words := strings.Fields(args)
		words = append([]string{words[0], "nosuch"}, words[1:]...)
		got, _ := run(t, &fakeCluster{views: []*cluster.View{{}}}, "hathi", "", words...)
		if strings.Count(got, want) != 1 {
			t.Errorf("%s: %q", args, got)
		}
		if got, _ := run(t, &fakeCluster{views: []*cluster.View{{}}}, "patronictl", "", words...); strings.Contains(got, want) {
			t.Errorf("patronictl %s: %q", args, got)
		}
	}
}
