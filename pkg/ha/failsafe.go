package ha

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Failsafe mode: a primary that can't reach etcd goes on as long as every other member of /failsafe promises
// not to become a primary meanwhile.
//
// Why there is no second primary. Let P go on until D, counted from before it sent its questions (their TTL
// later), and let f be the revision of the /failsafe that it asked by. f is known to be P's own newest write:
// P uses no list of which a write of its own is unanswered, or which an agent before it wrote.
//
//  1. A member takes the leader key in a transaction that also compares the revision of /failsafe by which it
//     found itself listed. Only a leader that runs as a primary writes /failsafe. So the first to take the key
//     after P has judged by f itself, or by nothing else until somebody has been promoted since.
//  2. Hence it is in f, and P has asked it. It has promised to make no primary of its server for the TTL of
//     the question, counted from when it was received, and a hundredth more. That is after D, whatever the
//     two clocks' rates (docs/safety.md bounds them).
//  3. The promise forbids the promotion and not only the race: a request for the key that was sent before the
//     promise may be handled by etcd long after it, and who then finds the key to be its own must still wait.
//  4. Who holds the key, or has begun to make its server a primary, refuses. Promise and promotion are taken
//     down under one lock, so one of the two comes first.
//  5. An agent that was restarted has forgotten its promises. So it waits for as long as one can last after it
//     began. A server that is a primary already need not wait: whoever was a primary had promised nothing.
//
// A manual failover to a member that is not listed, asked for while nobody leads, is an order of a user and
// overrides 1, but never a promise.

// FailsafeMemory is what a member remembers of failsafe mode between two turns.
type FailsafeMemory struct {
	// Began is when this agent began; what was promised before it has forgotten. Zero: it is not known to.
	Began clock.Instant
	// Promised is until when this member makes no primary of its server; To is the member it promised that.
	Promised clock.Instant
	To       string
	// Slots are the positions of that member's slots, as it told them with its question; nil: it told none.
	Slots map[string]cluster.LSN
	// Written is the revision of /failsafe that this agent wrote and had confirmed; zero: none, or unknown.
	Written int64
	// Round is the last round of questions since etcd was lost.
	Round FailsafeRound
	// Bound is until when others may be bound by what they promised to this member.
	Bound clock.Instant
}

// FailsafeRound is a round of questions and its answers.
type FailsafeRound struct {
	Asked clock.Instant // before the first question was sent; zero: nobody was asked
	TTL   time.Duration // what was asked for
	// Accepted has the members that promised, sorted.
	Accepted []string
	// Refused says who does not promise, and why; empty if nobody has refused.
	Refused string
	// Agreed is when the last round was asked in which all promised; zero: none since etcd was lost.
	Agreed clock.Instant
}

// FailsafePromise is for how long a member that is asked for a TTL makes no primary of its server: longer by
// more than two clocks can be apart after a TTL.
func FailsafePromise(ttl time.Duration) time.Duration { return ttl + ttl/100 }

// FailsafeReceiver is what a member knows of itself when a primary asks it.
type FailsafeReceiver struct {
	// Mode: failsafe mode is on as far as it knows.
	Mode bool
	// Leader: it holds the leader key as far as it knows.
	Leader bool
	// Primary: its server is a primary, or may be one.
	Primary bool
	// Promoting: it has begun to make a primary of its server.
	Promoting bool
}

// FailsafeReply is the answer to a primary that asks.
type FailsafeReply int

// The answers.
const (
	FailsafeAccepted  FailsafeReply = iota // promised
	FailsafeOff                            // failsafe mode is off here
	FailsafeIsPrimary                      // this member leads, or is about to
)

// AnswerFailsafe judges the question of a primary whether it may go on. A member that is being promoted
// refuses; Patroni 4.1 accepts then, and both go on as primaries until the promoted one is seen.
func AnswerFailsafe(r FailsafeReceiver) FailsafeReply {
	switch {
	case !r.Mode:
		return FailsafeOff
	case r.Leader, r.Primary, r.Promoting:
		return FailsafeIsPrimary
	}
	return FailsafeAccepted
}
