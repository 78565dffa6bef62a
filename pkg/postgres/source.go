package postgres

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// source is the server that a base backup is made from, for questions beside the backup. They go over sessions of their
// own: the replication role sees its own processes; where pg_hba.conf lets it into no database, the superuser is
// tried. Where neither gets in, the backup goes on without.
type source struct {
	cfg   Config
	from  cluster.Upstream
	roles []Credentials // those that have not been refused
}

var errRefused = errors.New("the source answers none of our roles")

func (s *source) query(ctx context.Context, sql string, args ...string) ([][]string, error) {
	for len(s.roles) > 0 {
		session := session{cred: s.roles[0], to: s.from, database: s.cfg.Database, name: s.cfg.Name + " progress", limit: statementTimeout}
		out, err := session.query(ctx, sql, args...)
		if sqlState(err) == "" {
			return out, err
		}
		s.roles = s.roles[1:] // it may not connect, or the version has no such view
	}
	return nil, errRefused
}

// backupProgress asks for the progress of a base backup. Its phases are the view's, which PostgreSQL 12 does not have.
// Source: PostgreSQL 17, 27.4.6.
const backupProgress = `SELECT p.phase, p.backup_streamed, coalesce(p.backup_total, 0)
FROM pg_catalog.pg_stat_progress_basebackup AS p JOIN pg_catalog.pg_stat_get_activity(NULL) AS a USING (pid)
WHERE a.application_name = $1 ORDER BY p.pid LIMIT 1`

func (s *source) progress(ctx context.Context) cluster.Progress {
	out, err := s.query(ctx, backupProgress, s.cfg.Name)
	if err != nil || len(out) == 0 {
		return cluster.Progress{}
	}
	return backupFrom(out[0])
}

func backupFrom(row []string) cluster.Progress {
	p := cluster.Progress{What: "base backup", Done: number(row[1]), Total: number(row[2])}
	if row[0] != "streaming database files" {
		p.Phase = row[0]
	}
	return p
}

// outside gives the directories beside the data directory that a base backup fills: WAL and tablespaces, as the
// options of pg_basebackup place them. Those in use by the source are not among them if it runs on this machine:
// they are not empty.
func (s *source) outside(ctx context.Context) []string {
	var dirs []string
	moved := map[string]string{}
	for _, arg := range s.cfg.BasebackupArgs {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "--waldir":
			dirs = append(dirs, value)
		case "--tablespace-mapping":
			from, to, _ := strings.Cut(value, "=")
			moved[from] = to
		}
	}
	out, _ := s.query(ctx, `SELECT pg_tablespace_location(oid) FROM pg_tablespace`) // unknown: what is left of them stays
	for _, row := range out {
		place := row[0]
		if to := moved[place]; to != "" {
			place = to
		}
		if filepath.IsAbs(place) { // else it lies in the data directory
			dirs = append(dirs, place)
		}
	}
	return dirs
}

// emptyDirs gives those of the directories that are empty or not there: what is found in them later is ours.
func emptyDirs(dirs []string) []string {
	var empty []string
	for _, dir := range dirs {
		if entries, err := os.ReadDir(dir); len(entries) == 0 && (err == nil || errors.Is(err, os.ErrNotExist)) {
			empty = append(empty, dir)
		}
	}
	return empty
}

// clearCopy removes the content of a data directory, and what a copy that did not come to its end has put elsewhere.
func clearCopy(dir string, dots bool) error {
	for _, outside := range marked(fillingMark(dir)) {
		if err := removeContent(outside); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return emptyDir(dir, dots)
}
