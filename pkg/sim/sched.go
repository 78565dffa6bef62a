package sim

import (
	"container/heap"
	"context"
	"iter"
	"time"
)

// sched is the whole notion of time and of concurrency in a simulation: a queue of events in virtual time,
// and tasks, which are coroutines that run between two events. Exactly one thing runs at any moment, and
// which one is decided by the queue alone.
type sched struct {
	now     time.Duration // true time since the beginning; nobody in the simulation sees it
	queue   eventQueue
	seq     uint64
	current *task
}

// event happens once at a moment. Events of the same moment happen in the order in which they were made.
type event struct {
	at   time.Duration
	seq  uint64
	f    func()
	dead bool
}

// at plans f for a moment; one that has passed means now.
func (s *sched) at(at time.Duration, f func()) *event {
	s.seq++
	e := &event{at: max(at, s.now), seq: s.seq, f: f}
	heap.Push(&s.queue, e)
	return e
}

func (s *sched) after(d time.Duration, f func()) *event { return s.at(s.now+d, f) }

// step lets the next event happen; false if there is none up to the given moment.
func (s *sched) step(until time.Duration) bool {
	for len(s.queue) > 0 && s.queue[0].at <= until {
		e := heap.Pop(&s.queue).(*event)
		if e.dead {
			continue
		}
		s.now = e.at
		e.f()
		return true
	}
	s.now = until
	return false
}

type eventQueue []*event

func (q eventQueue) Len() int { return len(q) }
func (q eventQueue) Less(i, j int) bool {
	if q[i].at != q[j].at {
		return q[i].at < q[j].at
	}
	return q[i].seq < q[j].seq
}
func (q eventQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *eventQueue) Push(x any)   { *q = append(*q, x.(*event)) }
func (q *eventQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

// process is something that can be frozen and killed as one: an agent with all its tasks, a guard. What
// happens to a frozen one waits for it, in order; what happens to a dead one is lost.
type process struct {
	s       *sched
	name    string
	dead    bool
	frozen  bool
	backlog []func()
	tasks   []*task
}

// run lets something happen to the process: now, when it is thawed, or never.
func (p *process) run(f func()) {
	switch {
	case p.dead:
	case p.frozen:
		p.backlog = append(p.backlog, f)
	default:
		f()
	}
}

// thaw lets a frozen process go on with everything that has happened meanwhile.
func (p *process) thaw() {
	p.frozen = false
	for len(p.backlog) > 0 && !p.frozen && !p.dead {
		f := p.backlog[0]
		p.backlog = p.backlog[1:]
		f()
	}
}

// kill ends the process: its tasks never go on.
func (p *process) kill() {
	p.dead, p.backlog = true, nil
	tasks := p.tasks
	p.tasks = nil
	for _, t := range tasks {
		if t != p.s.current {
			t.stop()
		}
	}
}

// task is one thread of a process.
type task struct {
	p     *process
	name  string
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
}

// dropped unwinds a task of a process that was killed.
type dropped struct{}

// spawn starts a task. It begins to run with the next event, not at once.
func (p *process) spawn(name string, f func()) {
	t := &task{p: p, name: name}
	t.next, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		defer func() {
			if r := recover(); r != nil && r != any(dropped{}) {
				panic(r)
			}
		}()
		f()
	})
	p.tasks = append(p.tasks, t)
	p.s.after(0, func() { p.run(t.resume) })
}

// resume lets the task run until it waits or ends.
func (t *task) resume() {
	s := t.p.s
	if s.current != nil {
		panic("sim: a task was resumed from inside another one")
	}
	s.current = t
	_, alive := t.next()
	s.current = nil
	if !alive {
		t.p.forget(t)
	}
	if t.p.dead {
		t.stop()
	}
}

func (p *process) forget(t *task) {
	for i, other := range p.tasks {
		if other == t {
			p.tasks = append(p.tasks[:i], p.tasks[i+1:]...)
			return
		}
	}
}

// waiter is a place at which one task waits for one thing.
type waiter struct {
	t     *task
	fired bool
	timer *event
}

// newWaiter makes a place to wait for the running task.
func (s *sched) newWaiter() *waiter { return &waiter{t: s.current} }

// fire ends the wait. Only the first call counts.
func (w *waiter) fire() {
	if w.fired {
		return
	}
	w.fired = true
	if w.timer != nil {
		w.timer.dead = true
	}
	if s := w.t.p.s; s.current != nil {
		s.after(0, func() { w.t.p.run(w.t.resume) })
		return
	}
	w.t.p.run(w.t.resume)
}

// limit ends the wait after a time if nothing else does.
func (w *waiter) limit(d time.Duration) { w.timer = w.t.p.s.after(d, w.fire) }

// wait parks the running task until fire is called.
func (w *waiter) wait() {
	s := w.t.p.s
	s.current = nil
	alive := w.t.yield(struct{}{})
	if !alive || w.t.p.dead {
		panic(dropped{})
	}
	s.current = w.t
}

// sleep parks the running task for a time.
func (s *sched) sleep(d time.Duration) {
	w := s.newWaiter()
	w.limit(d)
	w.wait()
}

// glance is how often a wait looks whether its context has ended: contexts tell that by a channel, which a
// coroutine can't wait for.
const glance = 50 * time.Millisecond

// sleepContext parks the running task for a time, or until its context has ended.
func (s *sched) sleepContext(ctx context.Context, d time.Duration) error {
	for end := s.now + d; s.now < end; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.sleep(min(glance, end-s.now))
	}
	return nil
}
