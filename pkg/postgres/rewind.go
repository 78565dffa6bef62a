package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Rewind stops the server if it runs and makes its data those of the leader again with pg_rewind. It leaves
// a stopped server for StartReplica. When pg_rewind fails after it has begun to change files, the directory
// can't be started any more and Start says so. Source: Patroni 4.1, postgresql/rewind.py.
func (i *Instance) Rewind(ctx context.Context, leader cluster.Upstream) error {
	cfg := i.config()
	if rewindCut(cfg.DataDir) {
		// A second run would judge by WAL that the first one may have replaced, and miss what it must repair.
		return fmt.Errorf("rewind %s: an earlier pg_rewind did not come to its end; %s", cfg.DataDir, cfg.reinit())
	}
	if err := i.rewindable(ctx, leader); err != nil {
		return fmt.Errorf("rewind from %s:%s: %w", leader.Host, leader.Port, err)
	}
	if d, err := i.CheckDivergence(ctx, leader); err == nil && d.Needed && d.LocalTimeline == d.LeaderTimeline {
		// pg_rewind would find that there is nothing to do, and the server would follow a history that is not its own.
		return fmt.Errorf("rewind from %s:%s: timeline %d was given to two different histories, which pg_rewind can't tell apart; reinitialize this member",
			leader.Host, leader.Port, d.LeaderTimeline)
	}
	if _, err := i.Stop(ctx, cluster.StopFast, false); err != nil {
		return fmt.Errorf("rewind from %s:%s: %w", leader.Host, leader.Port, err)
	}
	if c, err := i.readControl(ctx); err == nil && c.State == "in archive recovery" {
		// A replica that was killed. pg_rewind wants a clean shutdown, and the single-user server that it would run for
		// that does not start beside a standby.signal. Source: Patroni 4.1, postgresql/rewind.py, execute.
		if err := i.CrashRecovery(ctx); err != nil {
			return fmt.Errorf("rewind from %s:%s: %w", leader.Host, leader.Port, err)
		}
	}
	i.archiveReady(ctx, cfg)
	if err := i.pgRewind(ctx, cfg, leader); err != nil {
		return fmt.Errorf("rewind from %s:%s: %w", leader.Host, leader.Port, err)
	}
	i.dropUpstream()
	return nil
}

// rewindable makes sure that the leader is a primary and that its control file, which pg_rewind reads,
// tells the timeline that it is on: right after a promotion it still tells the old one, and pg_rewind would
// find nothing to do.
func (i *Instance) rewindable(ctx context.Context, leader cluster.Upstream) error {
	if err := i.mustBePrimary(ctx, leader); err != nil {
		return err
	}
	cfg := i.config()
	s := session{cred: cfg.Rewind, to: leader, database: cfg.Database, name: cfg.Name, limit: statementTimeout}
	out, err := s.query(ctx, `SELECT (pg_control_checkpoint()).timeline_id,
 ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int`)
	if err != nil {
		return err
	}
	if out[0][0] != out[0][1] {
		return fmt.Errorf("the leader's checkpoint is on timeline %s, the leader itself on %s; a checkpoint there comes first",
			out[0][0], out[0][1])
	}
	return nil
}

// rewindTouched tells from pg_rewind's output that it has begun to change the target.
// Source: PostgreSQL 17, src/bin/pg_rewind/pg_rewind.c.
var rewindTouched = regexp.MustCompile(`(?m)need to copy|syncing target|creating backup label`)

func (i *Instance) pgRewind(ctx context.Context, cfg Config, leader cluster.Upstream) error {
	env, remove, err := privatePassFile(cfg.Rewind, leader.Host, leader.Port)
	if err != nil {
		return err
	}
	defer remove()
	copied := isCopied(cfg.DataDir)
	if err := setRewindMark(cfg.DataDir); err != nil {
		// What it leaves when it is interrupted would be started.
		return fmt.Errorf("the data directory is as it was; make its parent directory writable: %w", err)
	}
	i.log.Info("running pg_rewind", "from", leader.Host+":"+leader.Port)
	args, fetch := i.restoring(ctx, cfg)
	if err := i.runRewind(ctx, cfg, args, fetch, leader, env); err != nil {
		return err
	}
	if copied { // pg_rewind removes what it does not know
		if err := markCopied(cfg.DataDir); err != nil {
			return err
		}
	}
	return clearRewindMark(cfg.DataDir)
}

// runRewind runs pg_rewind, again and again if fetch is the command that gets what it misses. env has its password.
func (i *Instance) runRewind(ctx context.Context, cfg Config, args []string, fetch string, leader cluster.Upstream, env []string) error {
	args = append(args, "--progress", "-D", cfg.DataDir, "--source-server",
		keywords(append(cfg.bounded(cfg.Rewind, leader, cfg.Database), Parameter{"target_session_attrs", "read-write"})))
	env = append(append(env, "PGOPTIONS=-c statement_timeout=0"), untranslated...)
	var progress rewindOutput
	defer i.progressing(ctx, progress.look)()
	out, err := i.run(ctx, command{path: cfg.program("pg_rewind"), args: args, env: env, copy: &progress})
	for fetched := []string{""}; err != nil && fetch != "" && !rewindTouched.MatchString(out); {
		missing := group(rewindMissing.FindStringSubmatch(out), 1)
		if slices.Contains(fetched, missing) {
			break // nothing is missing, or what was fetched is no use
		}
		if fetchErr := i.fetchWAL(ctx, cfg, fetch, missing); fetchErr != nil {
			err = errors.Join(err, fetchErr)
			break
		}
		fetched = append(fetched, missing)
		out, err = i.run(ctx, command{path: cfg.program("pg_rewind"), args: args, env: env, copy: &progress})
	}
	switch {
	case err != nil && rewindTouched.MatchString(out):
		return fmt.Errorf("the data directory is unusable now, %s: %w", cfg.reinit(), err)
	case err != nil:
		err = fmt.Errorf("the data directory is as it was; to replace it %s: %w", cfg.reinit(), err)
		return errors.Join(err, clearRewindMark(cfg.DataDir))
	}
	// pg_rewind has copied the leader's files, a missing standby.signal included: it is a standby from now on.
	if err := replace(filepath.Join(cfg.DataDir, "standby.signal"), nil, fileMode(cfg.DataDir)); err != nil {
		return err
	}
	i.log.Debug("the data directory is rewound")
	return nil
}

// rewindMissing is how pg_rewind says that a segment of WAL is not there.
// Source: PostgreSQL 12 to 18, src/bin/pg_rewind/parsexlog.c, SimpleXLogPageRead.
var rewindMissing = regexp.MustCompile(`could not open file "[^"]*pg_wal/([0-9A-F]{24})"`)

// fetchWAL fetches a segment from the archive, as the server would. A file under its real name is whole.
func (i *Instance) fetchWAL(ctx context.Context, cfg Config, line, segment string) error {
	const half = "pg_wal/RECOVERYXLOG"
	cmd := strings.NewReplacer("%p", half, "%f", segment, "%r", "000000010000000000000001", "%%", "%").Replace(line)
	i.log.Info("fetching missing WAL from the archive", "segment", segment)
	if _, err := i.run(ctx, command{path: "/bin/sh", args: []string{"-c", cmd}, dir: cfg.DataDir}); err != nil {
		return fmt.Errorf("restore_command for %s: %w", segment, err)
	}
	return os.Rename(filepath.Join(cfg.DataDir, half), filepath.Join(cfg.DataDir, "pg_wal", segment))
}

// restoring lets pg_rewind fetch WAL that is missing here from the archive, by its arguments where the version can do
// it; else fetch is the command to do it with.
func (i *Instance) restoring(ctx context.Context, cfg Config) (args []string, fetch string) {
	version := majorVersion(cfg.DataDir)
	line := i.fileSetting(ctx, cfg, "restore_command")
	switch {
	case line == "":
		return nil, ""
	case rewindFindsConfig.has(version) && cfg.ConfigDir != cfg.DataDir:
		return []string{"--restore-target-wal", "--config-file=" + cfg.mainFile()}, ""
	case rewindRestores.has(version) && cfg.ConfigDir == cfg.DataDir:
		return []string{"--restore-target-wal"}, ""
	}
	return nil, line
}

// fileSetting asks postgres what a setting would be after a start; empty if it can't tell.
func (i *Instance) fileSetting(ctx context.Context, cfg Config, name string) string {
	out, err := i.run(ctx, command{
		path: cfg.program("postgres"), args: []string{"-D", cfg.DataDir, "-C", name, "--config-file=" + cfg.mainFile()},
	})
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}

var segmentReady = regexp.MustCompile(`^([0-9A-F]{24}(?:\.partial)?)\.ready$`)

// archiveReady archives the WAL that waits for it, before it may be replaced. What fails stays marked as
// ready, so that nobody takes it for archived.
func (i *Instance) archiveReady(ctx context.Context, cfg Config) {
	mode, line := i.fileSetting(ctx, cfg, "archive_mode"), i.fileSetting(ctx, cfg, "archive_command")
	if mode != "on" && mode != "always" || line == "" || line == "(disabled)" {
		return
	}
	status := filepath.Join(cfg.DataDir, "pg_wal", "archive_status")
	entries, err := os.ReadDir(status) // sorted by name, which is the order of WAL
	if err != nil {
		i.log.Warn("archiving what is left", "error", err)
		return
	}
	for _, e := range entries {
		m := segmentReady.FindStringSubmatch(e.Name())
		if m == nil || !exists(cfg.DataDir, "pg_wal", m[1]) {
			continue
		}
		cmd := strings.NewReplacer("%p", "pg_wal/"+m[1], "%f", m[1], "%r", "000000010000000000000001", "%%", "%").Replace(line)
		if _, err := i.run(ctx, command{path: "/bin/sh", args: []string{"-c", cmd}, dir: cfg.DataDir}); err != nil {
			i.log.Warn("archiving what is left", "segment", m[1], "error", err)
			continue
		}
		if err := os.Rename(filepath.Join(status, e.Name()), filepath.Join(status, m[1]+".done")); err != nil {
			i.log.Warn("archiving what is left", "segment", m[1], "error", err)
		}
	}
}

// quotedOption is one option in postmaster.opts, which the postmaster writes when it starts.
var quotedOption = regexp.MustCompile(`"--([^="]+)=([^"]*)"`)

// CrashRecovery runs the stopped server through single-user mode until it is shut down cleanly, so that its
// last position can be told. WAL is neither archived nor recycled meanwhile, and nothing that waits for the
// archive is forgotten. Source: Patroni 4.1, postgresql/rewind.py, ensure_clean_shutdown.
func (i *Instance) CrashRecovery(ctx context.Context) error {
	if i.postmaster() != nil {
		return errors.New("crash recovery: postgres runs")
	}
	cfg := i.config()
	if rewindCut(cfg.DataDir) {
		return fmt.Errorf("crash recovery: an earlier pg_rewind of %s did not come to its end; %s", cfg.DataDir, cfg.reinit())
	}
	if err := i.killRest(ctx); err != nil {
		return fmt.Errorf("crash recovery: %w", err)
	}
	i.archiveReady(ctx, cfg)
	if err := removeFiles(cfg.DataDir, "recovery.conf", "recovery.signal", "standby.signal"); err != nil {
		return fmt.Errorf("crash recovery: %w", err)
	}
	i.dropUpstream()
	args := []string{"--single", "-D", cfg.DataDir}
	opts, _ := os.ReadFile(filepath.Join(cfg.DataDir, "postmaster.opts")) // without it the files count
	for _, m := range quotedOption.FindAllStringSubmatch(string(opts), -1) {
		args = append(args, "-c", m[1]+"="+m[2])
	}
	args = append(args, "-c", "archive_mode=on", "-c", "archive_command=false", "template1")
	i.log.Info("doing crash recovery in a single user mode")
	i.setRecovers(true)
	defer i.setRecovers(false)
	past, err := pastStranger(cfg)
	if err != nil {
		return fmt.Errorf("crash recovery: %w", err)
	}
	replay := &recovery{}
	defer i.progressing(ctx, func(ctx context.Context) cluster.Progress { return replay.look(ctx, i) })()
	out, err := i.run(ctx, command{path: cfg.program("postgres"), args: args, env: past})
	if err != nil {
		return fmt.Errorf("crash recovery in single-user mode: %w", err)
	}
	c, err := i.readControl(ctx)
	if err != nil {
		return fmt.Errorf("crash recovery: %w", err)
	}
	if c.State != "shut down" {
		return fmt.Errorf("crash recovery: the server is %q afterwards: %s", c.State, lastLines(out))
	}
	i.setState(cluster.StateStopped)
	return nil
}
