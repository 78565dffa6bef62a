package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hathi-ha/hathi/pkg/config"
	"github.com/hathi-ha/hathi/pkg/postgres/query"
)

// generate is --generate-config: it asks a running server what it is and writes a configuration with that in it.
// Source: configuration.md 9.3.
func (m *runModes) generate(ctx context.Context, path string) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find the name of this host: %w", err)
	}
	target, err := m.server()
	if err != nil {
		return err
	}
	found, err := lookAtServer(ctx, target)
	if errors.Is(err, query.ErrLogin) && target.Password == "" && terminal(m.in) {
		if target.Password, err = m.ask.Secret(ctx, "Please enter the user password"); err != nil {
			return err
		}
		found, err = lookAtServer(ctx, target)
	}
	if err != nil {
		return err
	}
	return m.writeSample(path, config.FromServer(host, firstAddress(host), os.Environ(), found))
}

// server reads the connection string.
func (m *runModes) server() (query.Target, error) {
	params, err := query.ParseDSN(m.dsn.value)
	if err != nil {
		return query.Target{}, worded("Failed to parse DSN string")
	}
	t := query.Target{
		Host: params["host"], Port: params["port"], User: params["user"], Password: params["password"], Database: params["dbname"],
	}
	for _, key := range []string{"host", "port", "user", "password", "dbname"} {
		delete(params, key)
	}
	t.Options = params
	if t.Password == "" {
		t.Password = m.getenv("PGPASSWORD")
	}
	if t.Database == "" && m.getenv("PGDATABASE") == "" {
		t.Database = "postgres"
	}
	return t, nil
}

// What is asked of the server. The settings are those that somebody has set, and those that all members must agree on.
const (
	whoSQL    = "SELECT session_user, (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user)"
	serverSQL = `SELECT current_setting('data_directory'), current_setting('listen_addresses'), current_setting('port'), current_setting('cluster_name'),
  (SELECT setting FROM pg_catalog.pg_config WHERE name = 'BINDIR'), current_setting('data_checksums'), current_setting('wal_log_hints'),
  current_setting('hba_file'), current_setting('ident_file')`
	settingsSQL = `SELECT name, current_setting(name) FROM pg_catalog.pg_settings
  WHERE context <> 'internal' AND source IN ('configuration file', 'command line', 'environment variable')
  AND category <> 'Write-Ahead Log / Recovery Target' AND setting <> '(disabled)' OR name IN ('%s') ORDER BY name`
)

// rowOf runs a text that gives one row.
func rowOf(ctx context.Context, t query.Target, sql string) ([]string, error) {
	rows, err := query.Run(ctx, t, query.Any, sql)
	if err != nil {
		return nil, err
	}
	if len(rows.Values) != 1 {
		return nil, fmt.Errorf("%d rows where one was asked for", len(rows.Values))
	}
	var row []string
	for _, v := range rows.Values[0] {
		row = append(row, fmt.Sprint(v))
	}
	return row, nil
}

func lookAtServer(ctx context.Context, t query.Target) (config.RunningServer, error) {
	var s config.RunningServer
	who, err := rowOf(ctx, t, whoSQL)
	if err != nil {
		return s, wordedBy(err, "Failed to establish PostgreSQL connection")
	}
	if who[1] != "true" {
		return s, worded("The provided user does not have superuser privilege")
	}
	row, err := rowOf(ctx, t, serverSQL)
	if err != nil {
		return s, fmt.Errorf("ask the server what it is: %w", err)
	}
	port, err := strconv.Atoi(row[2])
	if err != nil {
		return s, fmt.Errorf("port of the server: %w", err)
	}
	s = config.RunningServer{
		DataDir: row[0], Listen: row[1], Port: port, ClusterName: row[3], BinDir: row[4], Checksums: row[5] == "on", Hints: row[6] == "on",
		Superuser:       config.Credentials{Username: who[0], Password: config.NewSecret(t.Password)},
		PasswordUnknown: t.Password == "",
	}
	s.ConnectPort, _ = strconv.Atoi(t.Port) // zero if the string names none, or several
	for _, key := range config.CredentialOptions() {
		if value := t.Options[key]; value != "" {
			s.Superuser.Options = append(s.Superuser.Options, config.Parameter{Name: key, Value: value})
		}
	}
	rows, err := query.Run(ctx, t, query.Any, fmt.Sprintf(settingsSQL, strings.Join(config.SharedParameters(), "', '")))
	if err != nil {
		return s, fmt.Errorf("ask the server for its settings: %w", err)
	}
	for _, r := range rows.Values {
		s.Parameters = append(s.Parameters, config.Parameter{Name: fmt.Sprint(r[0]), Value: fmt.Sprint(r[1])})
	}
	s.PgHBA, err = ruleFile(ctx, t, row[7], filepath.Join(s.DataDir, "pg_hba.conf"))
	ident, again := ruleFile(ctx, t, row[8], filepath.Join(s.DataDir, "pg_ident.conf"))
	s.PgIdent = ident
	return s, errors.Join(err, again)
}

// ruleFile lets the server read a file of rules, without its comments; nothing if it is not at its default place, where
// hathi would write it.
func ruleFile(ctx context.Context, t query.Target, path, usual string) ([]string, error) {
	if path != usual {
		return nil, nil
	}
	text, err := rowOf(ctx, t, "SELECT pg_catalog.pg_read_file('"+strings.ReplaceAll(path, "'", "''")+"')")
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var list []string
	for line := range strings.Lines(text[0]) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			list = append(list, line)
		}
	}
	return list, nil
}
