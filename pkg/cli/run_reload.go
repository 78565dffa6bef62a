package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/hathi-ha/hathi/pkg/api"
	"github.com/hathi-ha/hathi/pkg/config"
)

// openAPI is the open socket of the REST API.
type openAPI struct {
	address string
	stop    func() // closes it and its connections, and waits for that
}

// serve answers on a listener until it is stopped.
func (n *nodeAgent) serve(l net.Listener, address string) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := n.server.Serve(ctx, l); err != nil {
			n.log.Error("the REST API has ended", "error", err)
		}
	}()
	n.open = openAPI{address: address, stop: func() { cancel(); <-ended }}
}

// moveAPI brings the REST API to another address. The old one is closed when the new one is open; where both can't be,
// as with all addresses after one of them, it is closed before, and opened again if the new one can't be.
func (n *nodeAgent) moveAPI(ctx context.Context, r config.RestAPI) error {
	address, before := r.Listen.String(), n.open
	if address == before.address {
		return nil
	}
	l, err := api.Listen(ctx, address, r.RequestQueueSize)
	if err == nil {
		n.serve(l, address)
		before.stop()
		return nil
	}
	before.stop()
	l, again := api.Listen(ctx, address, r.RequestQueueSize)
	if again == nil {
		n.serve(l, address)
		return nil
	}
	if l, again = api.Listen(ctx, before.address, r.RequestQueueSize); again == nil {
		n.serve(l, before.address)
	}
	return errors.Join(err, again)
}

// checkFiles tells what a reload would find wrong with the files.
func (n *nodeAgent) checkFiles() error {
	_, _, err := config.Load(n.path, os.Environ())
	return err
}

// reload reads the files again. With a mistake in them the configuration stays as it is. Certificates are read anew
// although nothing else may have changed. What can't be brought to one part does not keep the others from it.
func (n *nodeAgent) reload(ctx context.Context) error {
	files, warnings, err := config.Load(n.path, os.Environ())
	if err != nil {
		return fmt.Errorf("keep the configuration as it is: %w", err)
	}
	n.mu.Lock()
	cfg, changed, needRestart := config.Reloaded(n.local, files)
	n.local, n.merged = cfg, nil
	dynamic := n.dynamic
	n.mu.Unlock()
	if changed {
		n.warn(warnings)
		n.warn(needRestart)
		for _, conflict := range cfg.TagConflicts {
			n.log.Warn(conflict)
		}
	} else {
		n.log.Info("No local configuration items changed.")
	}
	effective, _ := config.Merge(cfg, dynamic, major(cfg)) // configure tells the problems
	n.agent.Publish(published(cfg, effective))
	what := func(part string, err error) error {
		if err != nil {
			err = fmt.Errorf("%s: %w", part, err)
		}
		return err
	}
	return errors.Join(
		what("log", n.logs.Reconfigure(logOptions(cfg.Log))),
		what("restapi", n.server.Configure(ctx, apiSettings(cfg))),
		what("restapi", n.moveAPI(ctx, cfg.RestAPI)),
		what("ctl", n.peers.Configure(peerOptions(cfg))),
		what(cfg.Etcd.Section, n.client.Reconfigure(ctx, etcdOptions(cfg))),
	)
}
