package config

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Config is the local configuration of a node, from files and environment. It is immutable: a reload makes a
// new one. The zero value is a configuration in which nothing was given.
type Config struct {
	Scope     string
	Name      string
	Namespace string // without slashes at its ends; never empty

	RestAPI   RestAPI
	Ctl       Ctl
	Etcd      Etcd
	Bootstrap Bootstrap
	// Postgres is what the local configuration alone says; Merge adds what the cluster's configuration says.
	Postgres Postgres
	// Tags are as they were written, with their JSON types; PublishedTags gives what others see.
	Tags cluster.Tags
	// TagConflicts are log lines about tags that contradict each other, in Patroni's words.
	TagConflicts []string
	Log          Log
	Watchdog     Watchdog
	// Citus is set if a valid citus section was found, which LoadControl accepts and Load refuses.
	Citus *Citus

	tree *Node
}

// Tree gives the whole local configuration as it was read, secrets included.
func (c *Config) Tree() *Node { return c.tree }

// Citus is the citus section: the group is part of all key paths.
type Citus struct {
	Group    int
	Database string
}

// Login is a name and a password for basic authentication; zero: none.
type Login struct {
	Username string
	Password Secret
}

// IsZero reports whether no login was given.
func (l Login) IsZero() bool { return l == Login{} }

// RestAPI is the restapi section.
type RestAPI struct {
	Listen         Address // host * or empty: all addresses
	ConnectAddress Address // Listen if not given
	Auth           Login

	CertFile, KeyFile, CAFile, Ciphers string
	KeyFilePassword                    Secret
	VerifyClient                       string // none, optional or required

	Allowlist               []string // addresses, networks, host names; empty: all
	AllowlistIncludeMembers bool
	HTTPExtraHeaders        map[string]string
	HTTPSExtraHeaders       map[string]string
	RequestQueueSize        int    // listen backlog; -1: not given
	ServerTokens            string // Original, ProductOnly or Minimal
}

// URL is what a member publishes as api_url.
func (r RestAPI) URL() string {
	scheme := "http"
	if r.CertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + r.ConnectAddress.String() + "/patroni"
}

// Ctl is the ctl section: how REST APIs are called. What is not given comes from restapi, but for the client
// certificate. Source: Patroni 4.1, request.py.
type Ctl struct {
	Insecure                  bool // server certificates are not verified
	CACert, CertFile, KeyFile string
	KeyFilePassword           Secret
	Auth                      Login
}

// Log is the log section.
type Log struct {
	Type           string // plain or json
	Level          string // DEBUG, INFO, WARNING, ERROR or CRITICAL
	TracebackLevel string
	Format         []LogField // empty: the default line; one without a name is a format as text
	DateFormat     string
	StaticFields   map[string]string
	MaxQueueSize   int
	Dir            string // empty: standard error
	Mode           int    // permissions of the file; -1: what the umask leaves
	FileSize       int64  // bytes before rotation
	FileNum        int    // rotated files kept
	Loggers        map[string]string
	Deduplicate    bool // a repeated heartbeat line is left out
}

// LogField is one item of log.format: a field of the record and the name it gets.
type LogField struct{ Field, Name string }

// Watchdog is the watchdog section.
type Watchdog struct {
	Mode         string // off, automatic or required
	Device       string
	SafetyMargin int    // seconds before the ttl; -1: half the ttl
	Driver       string // default or testing
}

// Bootstrap is the bootstrap section: how the first node founds a cluster.
type Bootstrap struct {
	Present bool // without it this node never founds a cluster
	// DCS is the document that becomes /config, compact JSON in the order of the file, never empty. Secrets
	// and options that only belong into files are taken out.
	DCS []byte
	// Method is initdb or the name of a custom one.
	Method Method
	// Initdb are the arguments of initdb, such as --encoding=UTF8.
	Initdb        []string
	PgHBA         []string // appended after initdb if postgresql.pg_hba is not set
	PostBootstrap string   // command; empty: none
}

// Method is a custom way to create a cluster or a replica.
type Method struct {
	Name    string
	Command string // empty: built in
	// Args are --key=value for the other keys of the section, in the order of the file.
	Args     []string
	NoParams bool
	NoLeader bool
	KeepData bool
	// KeepRecoveryConf and RecoveryConf are options of a bootstrap method.
	KeepRecoveryConf bool
	RecoveryConf     []Parameter
}

// Parameter is one setting of PostgreSQL, the value as PostgreSQL reads it, without quotes.
type Parameter struct{ Name, Value string }

// Credentials are one section of postgresql.authentication.
type Credentials struct {
	Username string
	Password Secret
	// Options are the other libpq keywords that were given, such as sslmode, in a fixed order. sslpassword is
	// among them; do not print them.
	Options []Parameter
}

// Postgres is the postgresql section, or that merged with the one of the cluster's configuration.
type Postgres struct {
	ListenAddresses string // as PostgreSQL reads it
	Port            int
	ConnectAddress  Address // zero: the local address
	ProxyAddress    Address // zero: none

	DataDir        string
	ConfigDir      string // empty: DataDir
	ConfigBaseName string // postgresql
	CustomConf     string
	BinDir         string // empty: PATH
	BinNames       map[string]string
	PassFile       string // pgpass; empty: ~/pgpass
	Database       string // postgres
	KerberosName   string // krbsrvname

	Superuser, Replication, Rewind Credentials // Rewind is Superuser if not given

	// Parameters are all parameters that were given, under lower-case names, sorted. Merge sorts out which of
	// them count.
	Parameters          []Parameter
	PgHBA, PgIdent      []string
	Recovery            []Parameter // recovery_conf, sorted
	UseUnixSocket       bool
	UseUnixSocketRepl   bool
	UsePgRewind         bool
	RemoveOnRewindError bool // remove_data_directory_on_rewind_failure
	RemoveOnDivergence  bool // remove_data_directory_on_diverged_timelines
	PgCtlTimeout        time.Duration

	CreateReplicaMethods []Method
	Basebackup           []string // arguments of pg_basebackup, such as --checkpoint=fast
	Callbacks            map[string]string
	PrePromote           string
	BeforeStop           string
}
