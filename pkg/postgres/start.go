package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/process"
)

// ErrStillStarting says that the server runs but accepts no connections yet, although the time for that is
// over. It goes on starting.
var ErrStillStarting = errors.New("postgres is still starting")

// StartPrimary starts the stopped server as what its files say it is, without recovery settings, and waits
// until it accepts connections, for as long as timeout (zero: pg_ctl_timeout) allows: ErrStillStarting after
// that. guard may refuse the process that is to become the server; nil allows it.
func (i *Instance) StartPrimary(ctx context.Context, timeout time.Duration, guard GuardServer) error {
	r, as := role{guard: guard}, cluster.RolePrimary
	if hasStandbySignal(i.config().DataDir) {
		r.standby, as = true, cluster.RoleReplica // the limits of its control file count all the same
	}
	err := i.boot(ctx, r, timeout, cluster.StateStarting, i.callbacks.become(as, onStart))
	if err != nil && i.postmaster() == nil && as == cluster.RolePrimary {
		i.callbacks.become(cluster.RoleDemoted, "")
		i.fire(onRoleChange)
	}
	return err
}

// StartReplica starts the stopped server in standby mode and waits until it accepts connections. A zero
// upstream follows nobody. A server that is still on its way to consistency when the time for a start is
// over goes on with that; this is no error.
func (i *Instance) StartReplica(ctx context.Context, upstream cluster.Upstream) error {
	if i.postmaster() != nil {
		return errors.New("start replica: postgres runs already")
	}
	dir := i.config().DataDir
	if kind, why := inspect(dir); kind != cluster.DataPresent {
		return fmt.Errorf("start replica: no database in %s %s", dir, why)
	}
	if err := removeFiles(dir, "recovery.signal", "recovery.conf"); err != nil {
		return fmt.Errorf("start replica: %w", err)
	}
	if err := replace(filepath.Join(dir, "standby.signal"), nil, fileMode(dir)); err != nil {
		return fmt.Errorf("start replica: %w", err)
	}
	action := i.callbacks.become(roleUnder(upstream), onStart)
	err := i.boot(ctx, role{standby: true, upstream: upstream}, 0, cluster.StateStarting, action)
	switch {
	case errors.Is(err, ErrStillStarting):
		return nil
	case err != nil && action == onRoleChange:
		i.fire(action) // it is no primary any more, whether it runs or not
	}
	return err
}

// boot starts the server for a role and fires a callback when it is ready.
func (i *Instance) boot(ctx context.Context, r role, timeout time.Duration, state cluster.State, action string) error {
	if i.postmaster() != nil {
		return errors.New("start postgres: it runs already")
	}
	defer i.act(state)()
	if err := i.prepareStart(ctx, r); err != nil {
		i.setState(cluster.StateStartFailed)
		return fmt.Errorf("start postgres: %w", err)
	}
	began := time.Now()
	h, err := i.spawn(ctx, r)
	if err != nil {
		i.setState(cluster.StateStartFailed)
		return fmt.Errorf("start postgres: %w", err)
	}
	if timeout <= 0 {
		timeout = i.config().StartTimeout
	}
	replay := &recovery{}
	end := i.progressing(ctx, func(ctx context.Context) cluster.Progress { return replay.look(ctx, i) })
	err = i.awaitReady(ctx, h, timeout)
	end()
	switch {
	case err == nil:
		i.setState(cluster.StateRunning)
		i.serverPrograms()
		if err := saveConfigCopies(i.config()); err != nil {
			i.log.Warn("could not copy the configuration files for base backups", "error", err)
		}
		i.fire(action)
	case !h.Alive():
		i.setState(cluster.StateStartFailed)
		if ctx.Err() == nil {
			err = fmt.Errorf("%w: %s", err, i.whyEnded(ctx, r, began))
		}
	case errors.Is(err, ErrStillStarting):
		i.callbacks.later(action)
	}
	return err
}

// prepareStart makes sure that nothing of an earlier server lives, and writes the files.
func (i *Instance) prepareStart(ctx context.Context, r role) error {
	cfg := i.config()
	if rewindCut(cfg.DataDir) {
		return fmt.Errorf("an earlier pg_rewind of %s did not come to its end and left it unusable: %s", cfg.DataDir, cfg.reinit())
	}
	if fillingCut(cfg.DataDir) {
		return fmt.Errorf("an earlier copy into %s did not come to its end: %s", cfg.DataDir, cfg.reinit())
	}
	if exists(foundingMark(cfg.DataDir)) && !i.isFounding() {
		return fmt.Errorf("an earlier bootstrap of %s did not come to its end; it will be moved aside when the cluster is founded anew", cfg.DataDir)
	}
	// Children of a postmaster that was killed go on for a while and hold its shared memory; PostgreSQL would
	// refuse to start beside them, and they might still write.
	if err := i.killRest(ctx); err != nil {
		return err
	}
	if err := i.prepareDirs(cfg); err != nil {
		return err
	}
	_, err := i.writeFiles(ctx, r)
	return err
}

func (i *Instance) isFounding() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.founds
}

// killRest kills every process of an earlier server, after its postmaster has gone.
func (i *Instance) killRest(ctx context.Context) error {
	dir := i.config().DataDir
	pids, err := i.leftovers()
	if err != nil || len(pids) == 0 {
		return err
	}
	i.log.Warn("killing processes that an earlier postgres left behind", "pids", pids)
	if err := process.KillDirectory(ctx, dir, i.serverPrograms()...); err != nil {
		return fmt.Errorf("kill the rest of an earlier postgres in %s: %w", dir, err)
	}
	return nil
}

// leftovers gives the processes that work in the data directory.
func (i *Instance) leftovers() ([]int, error) {
	pids, err := process.InDirectory(i.config().DataDir, i.serverPrograms()...)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // no directory, nobody in it
	}
	return pids, err
}

// prepareDirs makes the directories that a server needs besides its data. Source: Patroni 4.1,
// postgresql/config.py, check_directories.
func (i *Instance) prepareDirs(cfg Config) error {
	dirs := []string{}
	if sockets, ok := cfg.parameter("unix_socket_directories"); ok {
		for s := range strings.SplitSeq(sockets, ",") {
			dirs = append(dirs, strings.TrimSpace(s))
		}
	}
	if cfg.PassFile != "" {
		dirs = append(dirs, filepath.Dir(cfg.PassFile))
	}
	for _, d := range dirs {
		if d == "" || strings.HasPrefix(d, "@") { // an abstract socket has no directory
			continue
		}
		if !filepath.IsAbs(d) {
			d = filepath.Join(cfg.DataDir, d)
		}
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("create directory %s: %w", d, err)
		}
	}
	return nil
}

// spawn starts the postmaster in a session of its own, so that it outlives this process.
func (i *Instance) spawn(ctx context.Context, r role) (*process.Handle, error) {
	cfg := i.config()
	controlled, _, err := i.controlled(ctx, cfg, r)
	if err != nil {
		return nil, err
	}
	args := []string{"-D", cfg.DataDir, "--config-file=" + cfg.mainFile()}
	for _, p := range controlled {
		if !fileOnly(p.Name) {
			args = append(args, "--"+p.Name+"="+p.Value)
		}
	}
	cmd, gate, err := gated(cfg.program("postgres"), args, r.guard != nil)
	if err != nil {
		return nil, err
	}
	defer gate.close()
	cmd.Env = serverEnv(os.Environ())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	past, err := pastStranger(cfg)
	if err != nil {
		return nil, err
	}
	cmd.Env = append(cmd.Env, past...)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h, err := i.launch(cmd)
	if err != nil || r.guard == nil {
		return h, err
	}
	if err := r.guard(ctx, h.PID(), h.StartTicks()); err != nil {
		gate.close() // it ends without having become the server
		<-h.Done()
		return nil, err
	}
	if err := gate.open(); err != nil {
		return nil, fmt.Errorf("let %s start: %w", cfg.program("postgres"), err)
	}
	return h, nil
}

// launch starts the process of the postmaster.
func (i *Instance) launch(cmd *exec.Cmd) (*process.Handle, error) {
	i.mu.Lock()
	defer i.mu.Unlock() // from here on whoever looks finds the new process, even before it has a pid file
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("run %s: %w", cmd.Path, err)
	}
	h, err := process.Open(cmd.Process.Pid)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fmt.Errorf("watch the new postmaster: %w", err)
	}
	go func() { _ = cmd.Wait() }() // it is our child until we end, so we reap it
	i.log.Info("postmaster started", "pid", cmd.Process.Pid)
	i.keep(h, time.Now())
	i.pending = nil
	return h, nil
}

// serverEnv is the environment of the postmaster. Source: Patroni 4.1, postgresql/postmaster.py.
func serverEnv(env []string) []string {
	var kept []string
	for _, v := range childEnv(env) {
		name, value, _ := strings.Cut(v, "=")
		switch {
		case name == "NOTIFY_SOCKET", strings.HasPrefix(name, "KUBERNETES_"), name == "PG_GRANDPARENT_PID":
		case name == "PG_MALLOC_ARENA_MAX":
			kept = append(kept, "MALLOC_ARENA_MAX="+value)
		default:
			kept = append(kept, v)
		}
	}
	return kept
}

// awaitReady waits until the server accepts connections.
func (i *Instance) awaitReady(ctx context.Context, h *process.Handle, timeout time.Duration) error {
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	// PostgreSQL tells nobody when it is ready; it writes a word into postmaster.pid, and we look for that as
	// pg_ctl does, only more often. Unlike an attempt to connect this leaves nothing in the server's log.
	// Source: PostgreSQL 17, src/bin/pg_ctl/pg_ctl.c, wait_for_postmaster_start.
	pause := 5 * time.Millisecond
	for {
		if i.isReady(ctx, h) {
			return nil
		}
		select {
		case <-h.Done():
			return fmt.Errorf("start postgres: it ended (pid %d) before it accepted connections%s", h.PID(), brokenHistory(i.config()))
		case <-ctx.Done():
			return fmt.Errorf("start postgres: %w", context.Cause(ctx))
		case <-limit.C:
			return fmt.Errorf("%w after %s", ErrStillStarting, timeout)
		case <-time.After(pause):
			pause = min(pause+time.Millisecond, 20*time.Millisecond)
		}
	}
}

// isReady asks the pid file first, and the server itself only when that promises an answer.
func (i *Instance) isReady(ctx context.Context, h *process.Handle) bool {
	f, err := readPIDFile(i.config().DataDir)
	if err != nil || f.pid != h.PID() {
		return false
	}
	if f.status != "ready" {
		return f.status == "standby" // it is up, but hot_standby is off and nobody may connect
	}
	c, err := i.local("Patroni", statementTimeout).open(ctx)
	if err != nil {
		// Whatever else it refuses us for, it does accept connections.
		return sqlState(err) != "" && !rejecting(err)
	}
	closeConn(c)
	return true
}
