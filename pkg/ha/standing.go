package ha

import "fmt"

// Check is what one rule of the race says of a member.
type Check struct {
	Rule string
	Pass bool
	Text string
}

// Standing asks every rule of the race for a leader key that nobody holds, where Decide stops at the first
// that keeps the member back. All pass exactly if Decide lets a replica take the key, unless the cluster is paused
// or a request decides; a test holds that. The answers of the other members have to be in the observation.
func Standing(o Observation) []Check {
	mine := known(&o, here(&o))
	checks := []Check{
		{"race-watchdog", !o.Self.WatchdogFailed, pick(o.Self.WatchdogFailed, "a watchdog is required and not usable", "no watchdog stands in the way")},
		{"race-nofailover", !o.Self.Tags.NoFailover(), pick(o.Self.Tags.NoFailover(), "its tags do not allow to promote it", "its tags allow to promote it")},
		{"race-no-position", mine != 0, pick(mine == 0, "its own WAL position is unknown", "has WAL up to "+upTo(&o, here(&o)))},
		{
			"race-lag", !tooFarBehind(&o, here(&o)),
			fmt.Sprintf("%d bytes behind the last published position, %d are allowed", mine.Behind(o.Store.View.Status.Optime), o.Settings.MaximumLagOnFailover),
		},
	}
	if _, refused := promotionRefused(&o); refused {
		checks = append(checks, Check{"race-pre-promote", false, "its pre-promote script has failed within the last ttl, or its promotion did not end"})
	}
	if len(o.Store.View.Failsafe) > 0 {
		held := heldBack(&o)
		checks = append(checks, Check{"race-failsafe", held == nil, pick(held == nil, "failsafe mode does not stand in the way", lastReason(held))})
	}
	if o.Settings.CheckTimeline {
		checks = append(checks, Check{
			"race-timeline", !oldTimeline(&o, o.Server.Timeline),
			fmt.Sprintf("on timeline %d, the cluster is on %d", o.Server.Timeline, o.Store.View.History.Timeline()),
		})
	}
	if syncActive(&o) {
		fit, _ := syncFit(&o)
		checks = append(checks, fit)
	}
	answers, question := ask(&o, withAPI(inSync(&o, raceSet(&o))), "race-ask", "")
	if question != nil {
		return append(checks, Check{"race-ask", false, "the others were not asked"})
	}
	for _, p := range answers {
		checks = append(checks, compare(&o, p))
	}
	return checks
}

// compare is the check of a member against another.
func compare(o *Observation, p Peer) Check {
	if rule, text := outranked(o, p); rule != "" {
		return Check{rule, false, text}
	}
	switch {
	case limitation(p) != "":
		return Check{"race-behind", true, fmt.Sprintf("%s does not count: it is %s", p.Name, limitation(p))}
	case oldTimeline(o, p.Timeline):
		return Check{"race-behind", true, fmt.Sprintf("%s does not count: it is on an old timeline", p.Name)}
	}
	return Check{"race-behind", true, fmt.Sprintf("%s is not ahead, with WAL up to %s", p.Name, upTo(o, there(p)))}
}

// upTo tells how much of a position counts, and why not all of it does.
func upTo(o *Observation, p place) string {
	counts := known(o, p)
	if counts < p.lsn {
		return fmt.Sprintf("%s; what follows, up to %s on timeline %d, is not the cluster's", counts, p.lsn, p.timeline)
	}
	return counts.String()
}

func lastReason(d *Decision) string {
	if d == nil {
		return ""
	}
	return d.Reasons[len(d.Reasons)-1].Text
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}
