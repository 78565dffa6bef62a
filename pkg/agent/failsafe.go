package agent

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/hathi-ha/hathi/pkg/api"
	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// Both sides of failsafe mode; package ha, failsafe.go, says why it is safe.

// failsafe is what the loop and those who answer other members share; mu of the agent guards it.
type failsafe struct {
	primary   bool // the server is a primary, or may be one; true until the first look
	promoting bool // something has begun that makes a primary of it
	promised  clock.Instant
	to        string
	slots     map[string]cluster.LSN // of the server to which that was promised; nobody changes it
}

// Failsafe answers a primary without etcd that asks whether it may go on. A nil error is a promise.
func (a *Agent) Failsafe(q cluster.FailsafeQuestion) (cluster.LSN, error) {
	view, _ := a.o.Store.Latest()
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.o.Clock.Now()
	r := ha.FailsafeReceiver{
		// Before the first view the mode is not known; a promise then costs nobody anything.
		// In a standby cluster no primary may go on; one that asks does not know yet that it has become one.
		Mode:   view == nil || a.ttl.FailsafeMode && a.ttl.StandbyCluster == nil,
		Leader: view != nil && view.Leader.Name == a.o.Name || now.Before(a.proof.until), Primary: a.failsafe.primary, Promoting: a.failsafe.promoting,
	}
	switch a.o.AnswerFailsafe(r) {
	case ha.FailsafeOff:
		return 0, api.ErrFailsafeOff
	case ha.FailsafeIsPrimary:
		return 0, api.ErrFailsafePrimary
	}
	if !now.Before(a.failsafe.promised) || a.failsafe.to != q.Name {
		a.o.Log.Info("member goes on without etcd in failsafe mode; waiting for it", "primary", q.Name)
	}
	// The longer of the two TTLs: one of us may not know the newest configuration.
	until := now.Add(ha.FailsafePromise(max(a.ttl.TTL, q.TTL)))
	a.failsafe.promised, a.failsafe.to, a.failsafe.slots = max(a.failsafe.promised, until), q.Name, q.Slots
	return a.snapshot.Server.Position(), nil
}

// noteFailsafe takes down what the look at the server says about its being a primary, and what was promised.
// Only the loop makes a primary of the server, so what it has just seen is so until it acts.
func (a *Agent) noteFailsafe(o *ha.Observation) {
	m := &a.memory.Failsafe
	a.mu.Lock()
	a.failsafe.primary, a.failsafe.promoting = o.MayWrite(), makesPrimary(o.Job, o.Memory.WasPrimary)
	m.Promised, m.To, m.Slots = a.failsafe.promised, a.failsafe.to, a.failsafe.slots
	a.mu.Unlock()
	if m.Began == 0 {
		m.Began = a.began
	}
	if o.Store.FailingSince == 0 {
		m.Round = ha.FailsafeRound{}
	}
}

// makesPrimary reports whether the server may be a primary when the job has ended, or while it runs.
func makesPrimary(j *ha.Job, wasPrimary bool) bool {
	if j == nil {
		return false
	}
	switch j.Kind {
	case ha.JobBootstrap, ha.JobPromote, ha.JobStartPrimary:
		return true
	case ha.JobRestart:
		return wasPrimary
	}
	return false
}

// becomesPrimary begins what makes a primary of the server. False: something was promised since the decision
// was made, which has to be made again.
func (a *Agent) becomesPrimary(o ha.Observation) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failsafe.promised != o.Memory.Failsafe.Promised {
		return false
	}
	a.failsafe.promoting = true // until the loop has seen what became of it
	return true
}

// makes reports whether an action makes a primary of the server.
func makes(x ha.Action) bool {
	switch x.(type) {
	case ha.Bootstrap, ha.Promote, ha.StartPrimary:
		return true
	}
	return false
}

// actFailsafe carries out the decisions of failsafe mode.
func (a *Agent) actFailsafe(ctx context.Context, o ha.Observation, d ha.Decision) bool {
	switch x := d.Action.(type) {
	case ha.AskFailsafe:
		a.askFailsafe(ctx, o, x)
	case ha.ExtendProof:
		a.extendProof(x.Until)
	case ha.WriteFailsafe:
		a.writeFailsafe(ctx, x)
	default:
		return false
	}
	return true
}

// askFailsafe asks the other members and takes down what they answered. The proof is counted from before the
// first question was sent, as that of a lease is.
func (a *Agent) askFailsafe(ctx context.Context, o ha.Observation, x ha.AskFailsafe) {
	m := &a.memory.Failsafe
	round := ha.FailsafeRound{Asked: a.o.Clock.Now(), TTL: x.TTL, Agreed: m.Round.Agreed}
	ctx, cancel := a.within(ctx, x.Until.Sub(round.Asked))
	defer cancel()
	answers := a.o.Peers.AskFailsafe(ctx, x.Members, cluster.FailsafeQuestion{
		Name: a.o.Name, ConnURL: a.o.ConnURL, APIURL: a.o.APIURL, Slots: a.slotPositions(o), TTL: x.TTL,
	})
	for _, s := range answers {
		switch {
		case s.Accepted:
			round.Accepted = append(round.Accepted, s.Name)
		case s.Refused:
			round.Refused = s.Name + ": " + s.Error
		}
		if !s.Accepted {
			a.o.Log.Warn("a member does not accept that this one goes on without etcd", "member", s.Name, "error", s.Error)
		}
	}
	slices.Sort(round.Accepted)
	if len(round.Accepted) == len(x.Members) {
		round.Agreed = round.Asked
	}
	m.Round = round
	m.Bound = a.o.Clock.Now().Add(ha.FailsafePromise(x.TTL)) // also of those whose answer was lost
}

// slotPositions tells the others how far the slots of this server have come; and under its own name, which has a slot on
// each of them, how far it has come itself.
func (a *Agent) slotPositions(o ha.Observation) map[string]cluster.LSN {
	slots := map[string]cluster.LSN{cluster.SlotName(a.o.Name): o.Server.Position()}
	for _, s := range o.Server.Slots {
		if at := s.Position(); at != 0 {
			slots[s.Name] = at
		}
	}
	return slots
}

// extendProof gives the proof of the lock a later end, unless it was disproven meanwhile.
func (a *Agent) extendProof(until clock.Instant) {
	a.mu.Lock()
	holds := a.proof.until != 0 && until > a.proof.until
	if holds {
		a.proof.until, a.proof.life = until, a.ttl.TTL
	}
	a.mu.Unlock()
	if holds {
		a.o.Guard.Extend(a.lockProven)
	}
}

// writeFailsafe writes /failsafe, and remembers the revision only if the write was confirmed: as long as one
// may still be on its way, nobody can say which members the key lists. See writeSync.
func (a *Agent) writeFailsafe(ctx context.Context, x ha.WriteFailsafe) {
	m := &a.memory.Failsafe
	m.Written = 0
	ok, err := a.o.Store.PutFailsafe(ctx, x.Members, x.Revision)
	if err == nil && ok {
		if view, _ := a.o.Store.Latest(); view != nil && maps.Equal(view.Failsafe, x.Members) {
			m.Written = view.FailsafeRevision
		}
		a.o.Log.Info("failsafe mode asks " + strings.Join(slices.Sorted(maps.Keys(x.Members)), ", "))
		return
	}
	a.failed("could not write the failsafe key", err)
	a.refresh(ctx)
}

// failsafeUntil is until when failsafe mode is active here: this primary goes on by it, or waits for one that
// does.
func (a *Agent) failsafeUntil(o ha.Observation) clock.Instant {
	if r := a.memory.Failsafe.Round; o.Store.FailingSince != 0 && r.Agreed != 0 {
		return r.Agreed.Add(r.TTL)
	}
	return a.memory.Failsafe.Promised
}
