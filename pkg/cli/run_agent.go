package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/api"
	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/config"
	"github.com/hathi-ha/hathi/pkg/dcs/etcd"
	"github.com/hathi-ha/hathi/pkg/guard"
	hathilog "github.com/hathi-ha/hathi/pkg/log"
	"github.com/hathi-ha/hathi/pkg/metrics"
	"github.com/hathi-ha/hathi/pkg/postgres"
	"github.com/hathi-ha/hathi/pkg/process"
	"github.com/hathi-ha/hathi/pkg/watchdog"
)

// nodeAgent is the agent of a node with everything that it is wired to.
type nodeAgent struct {
	path        string
	log         *slog.Logger
	logs        *hathilog.Log
	pg          *postgres.Instance
	client      *etcd.Client
	store       *etcd.Session
	peers       *api.Client
	server      *api.Server
	open        openAPI
	agent       *agent.Agent
	woken       chan struct{}
	keeperWoken chan struct{}
	meter       *metrics.Meter

	mu       sync.Mutex
	stopping bool // asked to end, perhaps before there was an agent
	local    *config.Config
	dynamic  config.Dynamic
	revision int64 // of the /config that dynamic was read from; zero: the cache or bootstrap.dcs
	patroni  bool  // dynamic was read for a cluster with Patroni members
	// merged are the settings that dynamic and local come to; nil after either has changed.
	merged *cluster.Settings
}

// runAgent runs the agent of a node until it ends, and gives the exit code.
func runAgent(ctx context.Context, path string, logs *hathilog.Log, cfg *config.Config, guard *guard.Client) error {
	// The agent lives beside a database that needs the memory more; a smaller heap costs it next to nothing.
	debug.SetGCPercent(30)
	log := logs.Logger
	n := &nodeAgent{path: path, log: log, logs: logs, local: cfg, woken: make(chan struct{}, 1), keeperWoken: make(chan struct{}, 1), meter: metrics.New()}
	starting, cancel := context.WithCancel(ctx)
	defer n.listen(cancel)()
	n.startDynamic()
	effective, problems := config.Merge(cfg, n.dynamic, major(cfg))
	n.warn(problems)
	var err error
	if n.pg, err = postgres.New(postgresConfig(cfg, effective), log); err != nil {
		return err
	}
	defer n.pg.Close()

	if n.client, err = openEtcd(starting, cfg, log); err != nil {
		return err
	}
	defer n.client.Close()
	n.store = etcd.NewSession(ctx, n.client, cfg.Scope, cfg.Name, clock.System{}, log)
	defer n.store.Close()
	if n.peers, err = api.NewClient(peerOptions(cfg)); err != nil {
		return err
	}
	if err := n.nameIsFree(starting, n.peers); err != nil || starting.Err() != nil {
		return err // asked to end meanwhile: nothing has been started
	}
	listener, err := api.Listen(ctx, cfg.RestAPI.Listen.String(), cfg.RestAPI.RequestQueueSize)
	if err != nil {
		return err
	}
	options := n.options(effective, guard)
	options.FencedUntil, options.FencedFor = guard.Charged()
	n.warnSharedAddress(options.ConnURL)
	n.use(agent.New(options))
	guard.OnGivenUp(n.agent.GivenUp)
	n.server, err = api.New(api.Options{
		Node: n.agent, Store: n.store, Peers: n.peers, Clock: clock.System{}, Log: log, Version: Version,
		MergePatch: config.MergePatch, Validate: config.ValidateDynamic, CheckFiles: n.checkFiles, Counts: n.meter,
	}, apiSettings(cfg))
	if err != nil {
		return err
	}
	debug.FreeOSMemory()
	process.TrimText()
	n.serve(listener, cfg.RestAPI.Listen.String())
	defer func() { n.open.stop() }()
	return n.run(ctx)
}

// listen passes signals on: to the agent, or, while there is none yet, to the start, which then ends. The
// caller defers the result.
func (n *nodeAgent) listen(cancelStart func()) (done func()) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				n.signal(s, cancelStart)
			case <-ended:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(ended)
		cancelStart()
	}
}

func (n *nodeAgent) signal(s os.Signal, cancelStart func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case s == syscall.SIGHUP && n.agent != nil:
		n.agent.Reload()
	case s == syscall.SIGHUP: // the files are being read anyway
	case n.agent != nil:
		n.agent.Stop()
	default:
		n.stopping = true
		cancelStart()
	}
}

// use takes the agent into use; from here on signals go to it.
func (n *nodeAgent) use(a *agent.Agent) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.agent = a
	if n.stopping {
		a.Stop()
	}
}

// run turns the loop until the agent has ended.
func (n *nodeAgent) run(ctx context.Context) error {
	if message := n.agent.Run(ctx, n.woken, n.keeperWoken); message != "" {
		return errors.New(message)
	}
	return nil
}

func (n *nodeAgent) options(e config.Effective, guard agent.Guard) agent.Options {
	cfg := n.local
	p := published(cfg, e)
	return agent.Options{
		Scope: cfg.Scope, Name: cfg.Name, Tags: p.Tags, CanBootstrap: cfg.Bootstrap.Present,
		ConnURL: p.ConnURL, APIURL: p.APIURL, ProxyURL: p.ProxyURL, Version: Version,
		QuietHeartbeat: p.QuietHeartbeat,
		InitialConfig:  n.initialConfig, Settings: n.settings, Configure: n.configure, Reload: n.reload, Watchdog: n.watchdog,
		Store: n.store, Postgres: n.pg, Peers: n.peers, Guard: guard, Clock: clock.System{}, Runtime: goroutines{}, Log: n.log, Meter: n.meter,
		Wake: func() { wake(n.woken) }, WakeKeeper: func() { wake(n.keeperWoken) },
	}
}

// wake sends to a channel that has room for one.
func wake(woken chan<- struct{}) {
	select {
	case woken <- struct{}{}:
	default: // it is awake already
	}
}

// goroutines runs jobs as what they are.
type goroutines struct{}

func (goroutines) Go(_ string, f func()) { go f() }

// openEtcd makes the client; only a look-up by DNS can fail for now and work later.
func openEtcd(ctx context.Context, cfg *config.Config, log *slog.Logger) (*etcd.Client, error) {
	for {
		client, err := etcd.Open(ctx, etcdOptions(cfg))
		if err == nil || cfg.Etcd.SRV == "" {
			return client, err
		}
		log.Info("waiting on etcd", "error", err)
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(5 * time.Second): // DNS tells nobody about new records
		}
	}
}

// nameIsFree refuses to start beside a living agent of the same name. If etcd can't be asked in time the
// agent starts all the same: it may have a running primary to look after.
func (n *nodeAgent) nameIsFree(ctx context.Context, peers *api.Client) error {
	ctx, cancel := context.WithTimeout(ctx, cluster.DefaultSettings().RetryTimeout)
	defer cancel()
	view, err := n.store.Refresh(ctx)
	if err != nil {
		n.log.Warn("can't see yet whether the name is in use: waiting on etcd", "error", err)
		return nil
	}
	m, ok := view.Member(n.local.Name)
	if ok && m.APIURL != "" && peers.Liveness(ctx, m) {
		//lint:ignore ST1005 wording of the contract
		return fmt.Errorf("Can't start; there is already a node named '%s' running (it answers at %s); "+
			"give this node another name, or stop the other one", m.Name, m.APIURL)
	}
	return nil
}

// warnSharedAddress tells of another member with the same address: whoever is to follow one of the two may
// reach the other, or itself.
func (n *nodeAgent) warnSharedAddress(url string) {
	view, _ := n.store.Latest()
	if view == nil {
		return
	}
	for _, m := range view.Members {
		if m.Name != n.local.Name && m.ConnURL == url {
			n.log.Warn("member " + m.Name + " has the same postgresql.connect_address as this one: " + url + "; give each member its own, or neither can follow the other")
		}
	}
}

func (n *nodeAgent) warn(problems config.Problems) {
	for _, p := range problems {
		n.log.Warn(p.String())
	}
}

// startDynamic takes the configuration of the cluster as it was last known here, or as this node would
// found it, until /config is read.
func (n *nodeAgent) startDynamic() {
	d, problems, err := config.ParseDynamic(n.initialConfig(), config.DynamicOptions{})
	if err != nil {
		n.log.Warn("could not use the remembered configuration of the cluster", "error", err)
		d, _, _ = config.ParseDynamic([]byte("{}"), config.DynamicOptions{}) // an empty document has no mistakes
	}
	n.warn(problems)
	n.dynamic = d
}

// initialConfig is what a founded cluster gets, or a cluster that has lost its /config: what this node last
// saw, else what its file says.
func (n *nodeAgent) initialConfig() []byte {
	raw, err := config.ReadCache(absolute(n.local.Postgres.DataDir))
	if err != nil {
		n.log.Warn("could not read the remembered configuration of the cluster", "error", err)
	}
	if raw != nil && err == nil {
		return raw
	}
	if n.local.Bootstrap.Present {
		return n.local.Bootstrap.DCS
	}
	return []byte("{}")
}

// settings gives the cluster's settings from a view; the document is read again only when it has changed.
func (n *nodeAgent) settings(v *cluster.View) cluster.Settings {
	n.mu.Lock()
	defer n.mu.Unlock()
	patroni := config.HasPatroni(v.Members)
	if v.Config.Present && (v.Config.Revision != n.revision || patroni != n.patroni) {
		d, problems, err := config.ParseDynamic(v.Config.Raw, config.DynamicOptions{Previous: &n.dynamic, PatroniMembers: patroni})
		if err != nil {
			n.log.Error("the configuration of the cluster can't be read; the last one stays in force", "error", err)
		} else {
			n.dynamic = d
		}
		n.warn(problems)
		n.revision, n.patroni, n.merged = v.Config.Revision, patroni, nil
	}
	if n.merged == nil {
		e, _ := config.Merge(n.local, n.dynamic, major(n.local)) // configure tells the problems
		n.merged = &e.Settings
	}
	return *n.merged
}

// configure brings the configuration of the cluster to the server.
func (n *nodeAgent) configure(ctx context.Context, _ *cluster.View) error {
	n.mu.Lock()
	cfg, dynamic := n.local, n.dynamic
	n.mu.Unlock()
	e, problems := config.Merge(cfg, dynamic, major(cfg))
	n.warn(problems)
	if _, err := n.pg.Reconfigure(ctx, postgresConfig(cfg, e)); err != nil {
		return err
	}
	if server := n.pg.Observe(ctx); server.Data != cluster.DataPresent {
		return nil // nothing to remember it in yet
	}
	return config.WriteCache(absolute(cfg.Postgres.DataDir), dynamic.Adjusted())
}

// watchdog gives what the configuration demands of a watchdog device, and whether it can be met.
func (n *nodeAgent) watchdog(s cluster.Settings) (watchdog.Demand, bool) {
	n.mu.Lock()
	w := n.local.Watchdog
	n.mu.Unlock()
	d := watchdog.Demand{
		Mode: watchdog.Mode(w.Mode), Device: w.Device, Driver: w.Driver,
		Timeout: watchdog.Timeout(s.TTL, w.SafetyMargin), LoopWait: s.LoopWait, TTL: s.TTL,
	}
	if !d.Wanted() {
		return watchdog.Demand{}, true
	}
	return d, d.Check() == nil
}
