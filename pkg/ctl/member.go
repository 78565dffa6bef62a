package ctl

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

const (
	// askTimeout bounds requests that a member answers at once.
	askTimeout = 10 * time.Second
	// restartTimeout bounds a restart: the server answers when it is over, and a shutdown checkpoint or
	// crash recovery may take long.
	restartTimeout = time.Hour
	// reinitPause is the rest between two looks at members that are being copied.
	reinitPause = 2 * time.Second
)

// RestartOptions say when and whether a member restarts PostgreSQL. The zero value is: now, in any case.
type RestartOptions struct {
	Pending bool      // only if settings wait for a restart
	Version string    // only if PostgreSQL is older; checked by CheckVersion
	At      time.Time // zero: now
	Timeout string    // as the user gave it; the server judges
}

// Restart restarts PostgreSQL of one member and returns when that is over, or schedules it.
func (c *Control) Restart(ctx context.Context, m cluster.Member, o RestartOptions) (Answer, error) {
	var b body
	if o.Pending {
		b.set("restart_pending", true)
	}
	if o.Version != "" {
		b.set("postgres_version", o.Version)
	}
	if !o.At.IsZero() {
		b.set("schedule", cluster.FormatISO(o.At))
	}
	if o.Timeout != "" {
		b.set("timeout", o.Timeout)
	}
	return c.call(ctx, restartTimeout, http.MethodPost, m.APIURL, "restart", b.String())
}

// CancelRestart makes a member forget its scheduled restart.
func (c *Control) CancelRestart(ctx context.Context, m cluster.Member) (Answer, error) {
	return c.call(ctx, askTimeout, http.MethodDelete, m.APIURL, "restart", "")
}

// Reload makes a member re-read its configuration.
func (c *Control) Reload(ctx context.Context, m cluster.Member) (Answer, error) {
	return c.call(ctx, askTimeout, http.MethodPost, m.APIURL, "reload", "")
}

// Reinitialize makes a replica start over with a new copy. With force a running task is cancelled.
func (c *Control) Reinitialize(ctx context.Context, m cluster.Member, force, fromLeader bool) (Answer, error) {
	var b body
	b.set("force", force)
	b.set("from_leader", fromLeader)
	return c.call(ctx, askTimeout, http.MethodPost, m.APIURL, "reinitialize", b.String())
}

// AwaitReinitialize waits until none of the members is being copied, or stops for that, any more; waiting is told the names
// whenever their list changes, done each one that is over. A member that does not answer is asked again.
// Source: Patroni 4.1, patronictl, wait_until_reinit_done.
func (c *Control) AwaitReinitialize(ctx context.Context, members []cluster.Member, waiting func([]string), done func(string)) error {
	members = slices.Clone(members)
	for told := 0; len(members) > 0; {
		if told != len(members) {
			waiting(Names(members))
			told = len(members)
		}
		if err := rest(ctx, reinitPause); err != nil {
			return c.unfinished(err, Names(members))
		}
		members = slices.DeleteFunc(members, func(m cluster.Member) bool {
			over := c.copied(ctx, m)
			if over {
				done(m.Name)
			}
			return over
		})
	}
	return nil
}

func (c *Control) copied(ctx context.Context, m cluster.Member) bool {
	answer, err := c.call(ctx, askTimeout, http.MethodGet, m.APIURL, "patroni", "")
	var status struct{ State string }
	if err != nil || json.Unmarshal([]byte(answer.Body), &status) != nil || status.State == "" {
		return false
	}
	return status.State != string(cluster.StateCreatingReplica) && status.State != string(cluster.StateStopping)
}

// Versions are those of what runs on a member; PostgreSQL is empty if the server does not run.
type Versions struct{ Patroni, PostgreSQL string }

func (v Versions) String() string {
	text := "Patroni " + v.Patroni
	if v.PostgreSQL != "" {
		text += " PostgreSQL " + v.PostgreSQL
	}
	return text
}

// Version asks a member for its versions.
func (c *Control) Version(ctx context.Context, m cluster.Member) (Versions, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, err := c.REST.Do(ctx, http.MethodGet, m.APIURL, nil)
	if err != nil {
		return Versions{}, err
	}
	var status struct {
		ServerVersion int `json:"server_version"`
		Patroni       struct{ Version string }
	}
	if err := json.Unmarshal([]byte(answer.Body), &status); err != nil {
		return Versions{}, fmt.Errorf("answer of %s is not JSON: %w", m.APIURL, err)
	}
	v := Versions{Patroni: status.Patroni.Version}
	if n := status.ServerVersion; n > 0 {
		v.PostgreSQL = release(n)
	}
	return v, nil
}

// release turns a version number into the release's name: 160010 is 16.10, 90624 is 9.6.24.
func release(n int) string {
	if n >= 100000 {
		return fmt.Sprintf("%d.%d", n/10000, n%10000)
	}
	return fmt.Sprintf("%d.%d.%d", n/10000, n/100%100, n%100)
}

// Busy reports whether a member refused because a long action is running, which force would cancel.
func (a Answer) Busy() bool { return strings.HasSuffix(a.Body, " already in progress") }
