// Command etcdproc is one real etcd member as a process of its own, for tests: it can be stopped, killed
// and frozen like any other. It prints "ready" when it serves and ends when its standard input does, so
// that nothing is left of a test that was killed. It is not part of what hathi ships.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
)

type options struct {
	name, dataDir, clientURL, peerURL, initialCluster, logFile string
	heartbeatMs, electionMs                                    uint
	quota                                                      int64
}

func main() {
	var o options
	flag.StringVar(&o.name, "name", "etcd0", "name of this member")
	flag.StringVar(&o.dataDir, "data-dir", "", "data directory")
	flag.StringVar(&o.clientURL, "client-url", "", "URL for clients, listened on and advertised")
	flag.StringVar(&o.peerURL, "peer-url", "", "URL for peers, listened on and advertised")
	flag.StringVar(&o.initialCluster, "initial-cluster", "", "name=peerURL,...; empty: this member alone")
	flag.StringVar(&o.logFile, "log-file", os.DevNull, "where etcd logs to")
	flag.UintVar(&o.heartbeatMs, "heartbeat-ms", 50, "raft heartbeat interval")
	flag.UintVar(&o.electionMs, "election-ms", 500, "raft election timeout")
	flag.Int64Var(&o.quota, "quota-backend-bytes", 0, "how large the database may become; zero: as etcd has it")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "etcdproc:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	cfg, err := config(o)
	if err != nil {
		return err
	}
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return fmt.Errorf("start etcd %s: %w", o.name, err)
	}
	defer e.Close()

	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, os.Interrupt)
	parentGone := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(parentGone)
	}()
	ready := e.Server.ReadyNotify()
	for {
		select {
		case <-ready:
			fmt.Println("ready")
			ready = nil
		case err := <-e.Err():
			return fmt.Errorf("serve %s: %w", o.clientURL, err)
		case <-e.Server.StopNotify():
			return errors.New("etcd stopped by itself")
		case <-end:
			return nil
		case <-parentGone:
			return nil
		}
	}
}

func config(o options) (*embed.Config, error) {
	client, err := url.Parse(o.clientURL)
	if err != nil {
		return nil, fmt.Errorf("client URL %q: %w", o.clientURL, err)
	}
	peer, err := url.Parse(o.peerURL)
	if err != nil {
		return nil, fmt.Errorf("peer URL %q: %w", o.peerURL, err)
	}
	cfg := embed.NewConfig()
	cfg.Name = o.name
	cfg.Dir = o.dataDir
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	cfg.InitialCluster = o.initialCluster
	if cfg.InitialCluster == "" {
		cfg.InitialCluster = o.name + "=" + o.peerURL
	}
	cfg.QuotaBackendBytes = o.quota
	cfg.TickMs, cfg.ElectionMs = o.heartbeatMs, o.electionMs
	cfg.LogOutputs, cfg.LogLevel = []string{o.logFile}, "warn"
	// The machine does not lose power in a test, and what a killed process wrote stays in the page cache.
	cfg.UnsafeNoFsync = true
	// The hash of passwords need not withstand anybody here; the cheapest keeps tests of logins quick.
	cfg.BcryptCost = 4
	return cfg, nil
}
