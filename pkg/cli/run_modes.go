package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/config"
	"github.com/hathi-ha/hathi/pkg/view"
)

// runModes are what hathi run can do instead of running a node, as patroni can.
type runModes struct {
	*env
	validate, ignorePorts, print, sample, running, version bool
	dsn                                                    text
}

func (m *runModes) flags(cmd *cobra.Command) {
	toggle(cmd, &m.validate, "Check the configuration, and exit", "--validate-config")
	toggle(cmd, &m.ignorePorts, "With --validate-config: ports may be in use", "--ignore-listen-port", "-i")
	toggle(cmd, &m.print, "With --validate-config: print the configuration if it is right", "--print", "-p")
	toggle(cmd, &m.sample, "Write a sample to CONFIG, or to standard output, and exit", "--generate-sample-config")
	toggle(cmd, &m.running, "Write a configuration for the server that runs here to CONFIG, or to standard output, and exit", "--generate-config")
	option(cmd, &m.dsn, "TEXT", "With --generate-config: connection string of the server", "--dsn")
	toggle(cmd, &m.version, "Show the version and exit", "--version")
}

// run does what a flag asks for; false: nothing, so the node is to be run.
func (m *runModes) run(ctx context.Context, path string) (done bool, err error) {
	switch {
	case m.validate && (m.sample || m.running), m.sample && m.running:
		return true, usageError{text: "--validate-config, --generate-sample-config and --generate-config exclude each other"}
	case m.version:
		m.printf("%s %s\n", m.name, cluster.PatroniVersion)
		return true, nil
	case m.validate:
		return true, m.check(path)
	case m.sample:
		return true, m.sampleFile(path)
	case m.running:
		return true, m.generate(ctx, path)
	}
	return false, nil
}

// check is --validate-config: no output if all is well. It asks nobody on the network.
func (m *runModes) check(path string) error {
	in, err := config.Inspect(path, os.Environ())
	if err != nil {
		return err
	}
	problems := in.Strict()
	if in.Config != nil {
		problems = append(problems, directories(in.Config.Postgres)...)
		if !m.ignorePorts {
			problems = append(problems, ports(in.Config)...)
		}
	}
	for _, p := range append(problems, in.Warnings...) {
		_, _ = fmt.Fprintln(m.err, p.Validation())
	}
	if len(problems) > 0 {
		return errFailed
	}
	if m.print {
		if _, err := m.out.Write(view.YAML(in.Tree.Value())); err != nil {
			return fmt.Errorf("print the configuration: %w", err)
		}
	}
	return nil
}

// directories: what the server needs must be where the file says.
func directories(pg config.Postgres) (list config.Problems) {
	say := func(key, value, text string) {
		list = append(list, config.Problem{Key: key, Value: value, Text: text})
	}
	if pg.BinDir != "" {
		if info, err := os.Stat(pg.BinDir); err != nil || !info.IsDir() {
			say("postgresql.bin_dir", pg.BinDir, "didn't pass validation: Directory '"+pg.BinDir+"' does not exist.")
		} else {
			for _, program := range []string{"initdb", "pg_basebackup", "pg_controldata", "pg_ctl", "postgres"} {
				if name := pg.BinNames[program]; name != "" {
					program = name
				}
				if _, err := os.Stat(filepath.Join(pg.BinDir, program)); err != nil {
					say("postgresql.bin_dir", pg.BinDir, "didn't pass validation: does not contain '"+program+"' in '"+pg.BinDir+"'")
				}
			}
		}
	}
	entries, err := os.ReadDir(pg.DataDir)
	if err != nil || len(entries) == 0 {
		return list // it will be made
	}
	if _, err := os.Stat(filepath.Join(pg.DataDir, "global", "pg_control")); err != nil {
		say("postgresql.data_dir", pg.DataDir, "didn't pass validation: doesn't look like a valid data directory")
	}
	return list
}

// ports must be free, unless the node runs already.
func ports(cfg *config.Config) (list config.Problems) {
	var hosts []config.Address
	for host := range strings.SplitSeq(cfg.Postgres.ListenAddresses, ",") {
		hosts = append(hosts, config.Address{Host: host, Port: cfg.Postgres.Port})
	}
	for key, addresses := range map[string][]config.Address{"postgresql.listen": hosts, "restapi.listen": {cfg.RestAPI.Listen}} {
		for _, a := range addresses {
			if a.Host == "*" {
				a.Host = ""
			}
			l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort(a.Host, fmt.Sprint(a.Port)))
			if err == nil {
				_ = l.Close()
				continue
			}
			text := "didn't pass validation: " + err.Error()
			if errors.Is(err, syscall.EADDRINUSE) {
				text = fmt.Sprintf("didn't pass validation: Port %d is already in use.", a.Port)
			}
			list = append(list, config.Problem{Key: key, Value: a.String(), Text: text})
		}
	}
	return list
}

// sampleFile is --generate-sample-config.
func (m *runModes) sampleFile(path string) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find the name of this host: %w", err)
	}
	return m.writeSample(path, config.Sample(host, firstAddress(host), os.Environ()))
}

// writeSample writes a configuration with blank lines between its sections. A file is for its owner only: it holds
// passwords, or is going to.
func (m *runModes) writeSample(path string, tree *config.Node) error {
	var b strings.Builder
	for i, e := range tree.Entries {
		if i > 0 && (e.Value.Kind == config.Map || tree.Entries[i-1].Value.Kind == config.Map) {
			b.WriteByte('\n')
		}
		if note := config.SampleNote(e.Key); note != "" {
			b.WriteString(note)
		}
		b.Write(view.YAML(map[string]any{e.Key: e.Value.Value()}))
	}
	if path == "" {
		_, err := m.out.Write([]byte(b.String()))
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the directory of %s: %w", path, err)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return os.Chmod(path, 0o600) // a file that was there keeps its permissions else
}

// firstAddress is the first address of a host name, the name itself if it has none.
func firstAddress(host string) string {
	addresses, err := net.DefaultResolver.LookupHost(context.Background(), host)
	if err != nil || len(addresses) == 0 {
		return host
	}
	return addresses[0]
}
