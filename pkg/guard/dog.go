package guard

import (
	"github.com/hathi-ha/hathi/pkg/watchdog"
)

// The watchdog device is the guard's and not the agent's: it must outlive the agent, and be fed only while the
// leader lock is proven. It is open exactly while the guard is armed.

// mind opens the device that is demanded, or closes the one that is not.
func (g *guard) mind(d watchdog.Demand) error {
	if g.dog != nil && g.dog.Demand() == d {
		g.feed()
		return nil
	}
	known := d == g.demand && g.dogFailed
	if known && d.Mode == watchdog.Automatic {
		return nil
	}
	g.calm()
	g.demand = d
	if !d.Wanted() {
		return nil
	}
	dog, err := watchdog.Open(d)
	g.dogFailed = err != nil
	switch {
	case err == nil:
		g.dog = dog
		g.o.Log.Info(dog.String())
		if w := dog.Warning(); w != "" {
			g.o.Log.Warn(w)
		}
	case !known && d.Mode == watchdog.Required:
		g.o.Log.Error(noWatchdog, "error", err)
	case !known:
		g.o.Log.Info("no watchdog is used", "reason", err)
	}
	return err
}

// feed tells the device that the lock was proven again. One that could not be opened is tried again only if it
// is required; in mode automatic that waits for another configuration, as in Patroni.
func (g *guard) feed() {
	switch {
	case g.dog != nil:
		if err := g.dog.Feed(); err != nil {
			g.o.Log.Error("could not feed the watchdog", "error", err)
		}
	case g.demand.Mode == watchdog.Required:
		_ = g.mind(g.demand) // logged there
	}
}

// calm stops the device: nothing here can write any more, or nothing is to be fenced.
func (g *guard) calm() {
	if g.dog == nil {
		return
	}
	if err := g.dog.Disable(); err != nil {
		g.o.Log.Error("could not disable the watchdog, the machine may be reset", "error", err)
	}
	g.dog, g.demand = nil, watchdog.Demand{}
}
