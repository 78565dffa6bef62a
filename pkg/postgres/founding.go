package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/process"
)

// founding is what the files are written for while a database that a user's method has made recovers.
type founding struct {
	recovery []Parameter // of the method's recovery_conf
	keep     bool        // the method's own recovery settings count
	// closed: nobody may connect before the end of recovery (hot_standby is off). Then smaller limits than those
	// of the server that the database comes from don't stop its recovery.
	closed bool
}

// foundingHBA is the file that lets the agent in while no password is known.
func (c Config) foundingHBA() string { return filepath.Join(c.ConfigDir, "pg_hba.bootstrap.conf") }

// foundByMethod founds a cluster with the user's method: it runs the command, starts what that has made, waits
// for the end of recovery, creates the users and starts the server again as the primary that it will be.
// Source: Patroni 4.1, postgresql/bootstrap.py, _custom_bootstrap and post_bootstrap.
func (i *Instance) foundByMethod(ctx context.Context, cfg Config, guard GuardServer) error {
	m := cfg.BootstrapMethod
	if err := i.runFounding(ctx, cfg, m); err != nil {
		i.setState(cluster.StateCustomBootstrapFailed)
		return fmt.Errorf("method %s: %w", m.Name, err)
	}
	f, err := prepareFounding(cfg, m)
	if err != nil {
		return fmt.Errorf("method %s: %w", m.Name, err)
	}
	if err := i.appendHBA(cfg); err != nil {
		return err
	}
	if _, err := writeFile(cfg.foundingHBA(), []byte(trustLocal(ctx, cfg)), cfg.configMode()); err != nil {
		return err
	}
	err = i.boot(ctx, role{standby: true, founding: &f, guard: guard}, 0, cluster.StateBootstrapStarting, "")
	if err != nil && !errors.Is(err, ErrStillStarting) { // recovery takes as long as it takes
		return err
	}
	if err := i.awaitRecovered(ctx); err != nil {
		return err
	}
	if err := i.populate(ctx, cfg); err != nil {
		return err
	}
	if _, err := i.stop(ctx, cluster.StopFast, true, cluster.StateBootstrapStarting, nil); err != nil {
		return err
	}
	if err := removeFiles(cfg.DataDir, "recovery.conf", "recovery.signal", "standby.signal"); err != nil {
		return err
	}
	if err := removeFiles(cfg.ConfigDir, filepath.Base(cfg.foundingHBA())); err != nil {
		return err
	}
	return i.boot(ctx, role{guard: guard}, 0, cluster.StateBootstrapStarting, "")
}

// runFounding runs the command of a founding method.
func (i *Instance) runFounding(ctx context.Context, cfg Config, m Method) error {
	defer i.act(cluster.StateCustomBootstrap)()
	var args []string
	if !m.NoParams {
		args = []string{"--scope=" + cfg.Scope, "--datadir=" + cfg.DataDir}
	}
	i.log.Info("running custom bootstrap script", "method", m.Name)
	if _, err := i.run(ctx, command{path: m.Command, user: true, args: append(args, m.Args...), fills: cfg.DataDir}); err != nil {
		return err
	}
	if err := mustHoldDatabase(cfg.DataDir); err != nil {
		return err
	}
	// What another cluster remembers of its configuration, and of a copy, is not ours.
	return removeFiles(cfg.DataDir, "patroni.dynamic.json", copiedFile)
}

// prepareFounding makes the signal files as the method wants them.
func prepareFounding(cfg Config, m Method) (founding, error) {
	f := founding{keep: m.KeepRecoveryConf && len(m.RecoveryConf) == 0, closed: m.KeepRecoveryConf}
	trigger := "promote"
	standby := false
	for _, p := range m.RecoveryConf {
		name := strings.ToLower(p.Name)
		switch name {
		case "standby_mode":
			standby = isOn(p.Value)
			continue
		case "trigger_file", "promote_trigger_file":
			name, trigger = "promote_trigger_file", p.Value
			if !hasTriggerFile.has(majorVersion(cfg.DataDir)) {
				continue
			}
		case "pause_at_recovery_target":
			name = "recovery_target_action"
			p.Value = map[bool]string{true: "pause", false: "promote"}[isOn(p.Value)]
		}
		if name == "recovery_target_action" && p.Value == "promote" {
			f.closed = true
		}
		if slices.Contains(recoveryNames, name) {
			f.recovery = append(f.recovery, Parameter{name, p.Value})
		}
	}
	if err := removeFiles(cfg.DataDir, "promote"); err != nil {
		return f, err
	}
	if trigger != "promote" {
		if !filepath.IsAbs(trigger) {
			trigger = filepath.Join(cfg.DataDir, trigger)
		}
		if err := removeFiles(filepath.Dir(trigger), filepath.Base(trigger)); err != nil {
			return f, err
		}
	}
	if f.keep {
		return f, nil
	}
	if err := removeFiles(cfg.DataDir, "recovery.conf", "recovery.signal", "standby.signal"); err != nil {
		return f, err
	}
	if len(m.RecoveryConf) == 0 {
		return f, nil
	}
	signal := map[bool]string{true: "standby.signal", false: "recovery.signal"}[standby]
	return f, replace(filepath.Join(cfg.DataDir, signal), nil, fileMode(cfg.DataDir))
}

func isOn(value string) bool {
	switch strings.ToLower(value) {
	case "on", "true", "yes", "1":
		return true
	}
	return false
}

// trustLocal lets local connections in without a password: in what a method has restored the passwords are
// those of another time. The file is removed before the cluster goes into use.
func trustLocal(ctx context.Context, cfg Config) string {
	superuser, replication := "all", "all"
	if cfg.Superuser.Username != "" {
		superuser = quoteIdent(cfg.Superuser.Username)
	}
	if cfg.Replication.Username != "" {
		replication = quoteIdent(cfg.Replication.Username)
	}
	var b strings.Builder
	b.WriteString(generatedHeader)
	line := func(kind, database, user, address string) {
		fmt.Fprintln(&b, strings.Join([]string{kind, database, user, address, "trust"}, "\t"))
	}
	line("local", "replication", replication, "")
	line("local", "all", superuser, "")
	addresses, err := net.DefaultResolver.LookupIPAddr(ctx, cfg.tcpHost())
	if err != nil {
		addresses = nil // then the socket is the only way in
	}
	for _, a := range addresses {
		network := a.IP.String() + "/128"
		if a.IP.To4() != nil {
			network = a.IP.String() + "/32"
		}
		line("host", "replication", replication, network)
		line("host", "all", superuser, network)
	}
	return b.String()
}

// recoveryReport is how often a long recovery is reported in the log.
const recoveryReport = 10 * time.Second

// awaitRecovered waits until the server is out of recovery, for as long as that takes.
func (i *Instance) awaitRecovered(ctx context.Context) error {
	h := i.postmaster()
	if h == nil {
		return errors.New("the server has ended during recovery; see its log for the reason")
	}
	reported := time.Now()
	pause := 10 * time.Millisecond
	for {
		recovered, where := i.recovered(ctx)
		if recovered {
			return nil
		}
		if time.Since(reported) >= recoveryReport {
			i.log.Info("waiting for end of recovery after bootstrap", "replayed", where)
			reported = time.Now()
		}
		if err := i.restAtRecovery(ctx, h, pause); err != nil {
			return err
		}
		pause = min(2*pause, time.Second)
	}
}

// recovered asks whether the server is out of recovery, and if not how far it has come.
func (i *Instance) recovered(ctx context.Context) (done bool, where string) {
	if f, err := readPIDFile(i.config().DataDir); err != nil || f.status != "ready" {
		return false, "accepts no connections yet"
	}
	out, err := i.local("Patroni", statementTimeout).query(ctx, `SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn(),
 CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END`)
	switch {
	case err != nil:
		return false, err.Error()
	case out[0][0] == "f":
		return true, ""
	case out[0][2] == "t":
		return false, out[0][1] + ", paused: look at the data, then run pg_wal_replay_resume() to go on"
	}
	return false, out[0][1]
}

func (i *Instance) restAtRecovery(ctx context.Context, h *process.Handle, pause time.Duration) error {
	select {
	case <-h.Done():
		return errors.New("the server has ended during recovery; see its log for the reason")
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(pause): // nothing tells the end of recovery
	}
	return nil
}
