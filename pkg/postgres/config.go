package postgres

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Parameter is one server setting as PostgreSQL reads it, without quotes.
type Parameter struct{ Name, Value string }

// Method is a user's way to make a data directory. Source: Patroni 4.1, postgresql/bootstrap.py.
type Method struct {
	Name    string
	Command string   // empty: built in
	Args    []string // --key=value for the other keys of the section
	// NoParams leaves out the arguments that say what to make and where.
	NoParams bool
	// NoLeader: it can copy while nobody leads. KeepData: it works on what is in the data directory.
	NoLeader, KeepData bool
	// KeepRecoveryConf leaves the recovery settings of a founding method as they are. RecoveryConf are those for the
	// recovery of what it has made.
	KeepRecoveryConf bool
	RecoveryConf     []Parameter
}

// Credentials are one section of postgresql.authentication.
type Credentials struct {
	Username string // empty: the operating-system user
	Password Secret
	// TLS are further libpq keywords such as sslmode, sslcert or channel_binding, in the order of the file.
	TLS []Parameter
}

// Secret is a text that prints as stars.
type Secret string

// String hides the text.
func (Secret) String() string { return "******" }

// GoString hides the text from %#v.
func (Secret) GoString() string { return "******" }

// LogValue hides the text from logs.
func (Secret) LogValue() slog.Value { return slog.StringValue("******") }

// MarshalText hides the text from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte("******"), nil }

// Config is everything that package postgres has to know; package config derives it from files,
// environment and the /config key. It is a value: nobody changes its slices after it was handed over.
type Config struct {
	Scope string // cluster_name, and the last argument of callbacks
	Name  string // the member's name; application_name towards the upstream

	DataDir        string // absolute
	ConfigDir      string // empty: DataDir
	ConfigBaseName string // empty: postgresql
	CustomConf     string // included instead of the base file; empty: none
	PassFile       string // passwords of primary_conninfo; absolute; empty: pgpass in the home directory
	BinDir         string // empty: PATH
	BinNames       map[string]string

	ListenAddresses string // as PostgreSQL reads it
	Port            int
	Database        string // empty: postgres
	UseUnixSocket   bool   // local SQL through the socket
	KerberosService string // krbsrvname; empty: libpq's default

	Superuser, Replication Credentials
	// Rewind equal to Superuser means that there is no such role.
	Rewind Credentials

	// Parameters go into postgresql.conf. Controlled ones go into the file and onto the command line, in their
	// order, so that neither ALTER SYSTEM nor the base file can change them; listen_addresses, port and
	// cluster_name are added by this package and need not be there.
	Parameters, Controlled []Parameter
	// Recovery are recovery settings of the user, such as restore_command.
	Recovery []Parameter
	// RemoteHost is the server that a standby cluster follows; empty: none. Who follows it applies its WAL that
	// much later, as recovery_min_apply_delay has it.
	RemoteHost, RemoteApplyDelay string
	HBA, Ident                   []string // lines; empty: the file is left as it is

	// LogicalSlots: there are permanent logical slots, which standbys are to have as well.
	LogicalSlots          bool
	UseSlots, UsePgRewind bool
	StartTimeout          time.Duration // pg_ctl_timeout; zero: 60 s

	// BootstrapMethod founds a cluster; without a command it is initdb.
	BootstrapMethod Method
	// ReplicaMethods are tried in this order to copy a server; one without a command is pg_basebackup. Empty: that.
	ReplicaMethods []Method

	InitdbArgs     []string // like --encoding=UTF8
	BasebackupArgs []string // like --checkpoint=fast
	BootstrapHBA   []string // lines appended to pg_hba.conf of a new cluster if HBA is empty
	PostBootstrap  string   // command; empty: none
	PrePromote     string   // command; empty: none
	BeforeStop     string   // command; empty: none
	// Callbacks are commands by action: on_start, on_stop, on_restart, on_reload, on_role_change.
	Callbacks map[string]string
}

// defaultStartTimeout is pg_ctl_timeout. Source: Patroni 4.1, postgresql/__init__.py.
const defaultStartTimeout = 60 * time.Second

func (c Config) withDefaults() (Config, error) {
	if !filepath.IsAbs(c.DataDir) {
		return c, errors.New("postgresql.data_dir is " + c.DataDir + "; give an absolute path")
	}
	c.DataDir = filepath.Clean(c.DataDir)
	if c.ConfigDir == "" {
		c.ConfigDir = c.DataDir
	}
	if c.ConfigBaseName == "" {
		c.ConfigBaseName = "postgresql"
	}
	if c.PassFile == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return c, fmt.Errorf("postgresql.pgpass is not given, and its default is in the home directory: %w", err)
		}
		c.PassFile = filepath.Join(home, "pgpass")
	}
	if c.Database == "" {
		c.Database = "postgres"
	}
	if c.Port == 0 {
		c.Port = 5432
	}
	if c.StartTimeout <= 0 {
		c.StartTimeout = defaultStartTimeout
	}
	if c.Rewind.Username == "" {
		c.Rewind = c.Superuser
	}
	return c, nil
}

// program gives the path of one of PostgreSQL's programs.
func (c Config) program(name string) string {
	if other := c.BinNames[name]; other != "" {
		name = other
	}
	if c.BinDir == "" {
		return name
	}
	return filepath.Join(c.BinDir, name)
}

// reinit tells people how to get a new copy of the data.
func (c Config) reinit() string { return "run hathi reinit " + c.Scope + " " + c.Name }

// mainFile is the generated configuration file.
func (c Config) mainFile() string { return filepath.Join(c.ConfigDir, c.ConfigBaseName+".conf") }

// baseFile is the user's own configuration file, which the generated one includes.
func (c Config) baseFile() string { return filepath.Join(c.ConfigDir, c.ConfigBaseName+".base.conf") }

func (c Config) parameter(name string) (string, bool) {
	for _, list := range [][]Parameter{c.Controlled, c.Parameters} {
		for _, p := range list {
			if strings.EqualFold(p.Name, name) {
				return p.Value, true
			}
		}
	}
	return "", false
}

// tcpHost is where the local server is reached over TCP. Source: Patroni 4.1, postgresql/config.py,
// get_server_parameters and _get_tcp_local_address.
func (c Config) tcpHost() string {
	hosts := strings.Split(c.ListenAddresses, ",")
	for i, h := range hosts {
		hosts[i] = strings.TrimSpace(h)
		switch strings.ToLower(hosts[i]) {
		case "", "*", "localhost", "0.0.0.0", "127.0.0.1":
			return "localhost"
		}
	}
	return hosts[0]
}
