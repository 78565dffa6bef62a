package ha

import (
	"fmt"

	"github.com/hathi-ha/hathi/pkg/clock"
)

// Reason is one fact that led to a decision. The wording of those that users of Patroni grep for is kept
// to the letter.
type Reason struct {
	// Rule names the rule that gave the reason, for explain, coverage and tests.
	Rule string
	Text string
}

// Line gives the line that the log shows for a decision: its first reason, marked while the cluster is
// paused. Source: Patroni 4.1, ha.py, run_cycle.
func (d Decision) Line(paused bool) string {
	if len(d.Reasons) == 0 {
		return ""
	}
	if paused {
		return "PAUSE: " + d.Reasons[0].Text
	}
	return d.Reasons[0].Text
}

// act is a decision to do something.
func act(a Action, rule, format string, args ...any) *Decision {
	return &Decision{Action: a, Reasons: []Reason{{Rule: rule, Text: fmt.Sprintf(format, args...)}}}
}

// wait is a decision to do nothing.
func wait(rule, format string, args ...any) *Decision { return act(Wait{}, rule, format, args...) }

// until asks for another look at a moment.
func (d *Decision) until(at clock.Instant) *Decision {
	d.WakeAt = at
	return d
}

// also adds what users of Patroni look for beside the line of a decision.
func (d *Decision) also(format string, args ...any) *Decision {
	return d.because(d.Reasons[0].Rule, format, args...)
}

// because adds a further reason.
func (d *Decision) because(rule, format string, args ...any) *Decision {
	d.Reasons = append(d.Reasons, Reason{Rule: rule, Text: fmt.Sprintf(format, args...)})
	return d
}
