package config

import (
	"fmt"
	"strconv"
	"time"
)

// Least timings. Patroni's hold while it has members in the cluster. Source: Patroni 4.1, config.py,
// validate_dynamic_configuration; README.md of the contract, decision 7.
var (
	patroniLeast = timings{ttl: 20 * time.Second, loopWait: time.Second, retryTimeout: 3 * time.Second}
	hathiLeast   = timings{ttl: 2 * time.Second, loopWait: time.Second, retryTimeout: 500 * time.Millisecond}
)

type timings struct{ ttl, loopWait, retryTimeout time.Duration }

// shortTTL is the lease below which half seconds of retry_timeout are used: with whole ones nothing would be
// left of a ttl of 2 s, and a third of one of 4 s.
const shortTTL = 5 * time.Second

// correctTimings raises what is too small and makes ttl >= loop_wait + 2 * retry_timeout true, so that a leader
// that can't reach etcd gives up before its lease ends. Every member must come to the same result.
// Source: configuration.md 4.3.
func (d *Dynamic) correctTimings(c *collector, patroni bool) {
	least := hathiLeast
	if patroni {
		least = patroniLeast
	}
	t := timings{d.Settings.TTL, d.Settings.LoopWait, d.Settings.RetryTimeout}
	raise := func(name string, value *time.Duration, least time.Duration) {
		if *value < least {
			d.note(c, name, fmt.Sprintf("%s=%s can't be smaller than %s, adjusting...", name, secondsText(*value), secondsText(least)))
			*value = least
		}
	}
	t.ttl, t.loopWait = t.ttl.Truncate(time.Second), t.loopWait.Truncate(time.Second)
	if patroni {
		t.retryTimeout = t.retryTimeout.Truncate(time.Second)
	}
	raise("loop_wait", &t.loopWait, least.loopWait)
	raise("retry_timeout", &t.retryTimeout, least.retryTimeout)
	raise("ttl", &t.ttl, least.ttl)
	d.balance(c, &t, least.loopWait)
	d.keep("ttl", &d.Settings.TTL, t.ttl)
	d.keep("loop_wait", &d.Settings.LoopWait, t.loopWait)
	d.keep("retry_timeout", &d.Settings.RetryTimeout, t.retryTimeout)
}

// balance makes the sum fit: loop_wait gives way first, then retry_timeout.
func (d *Dynamic) balance(c *collector, t *timings, leastLoop time.Duration) {
	const rule = `Violated the rule "loop_wait + 2*retry_timeout <= ttl", where ttl=`
	switch {
	case leastLoop+2*t.retryTimeout > t.ttl:
		retry := (t.ttl - leastLoop) / 2
		if t.ttl >= shortTTL {
			retry = retry.Truncate(time.Second)
		}
		d.note(c, "ttl", fmt.Sprintf("%s%s. Adjusting loop_wait from %s to %s and retry_timeout from %s to %s", rule, secondsText(t.ttl),
			secondsText(t.loopWait), secondsText(leastLoop), secondsText(t.retryTimeout), secondsText(retry)))
		t.loopWait, t.retryTimeout = leastLoop, retry
	case t.loopWait+2*t.retryTimeout > t.ttl:
		loop := t.ttl - 2*t.retryTimeout
		d.note(c, "ttl", fmt.Sprintf("%s%s and retry_timeout=%s. Adjusting loop_wait from %s to %s", rule, secondsText(t.ttl),
			secondsText(t.retryTimeout), secondsText(t.loopWait), secondsText(loop)))
		t.loopWait = loop
	}
}

func (d *Dynamic) note(c *collector, name, text string) {
	c.warn(d.doc.Get(name), name, text)
}

// keep puts a corrected timing into force, and remembers it if the document says otherwise.
func (d *Dynamic) keep(name string, into *time.Duration, value time.Duration) {
	if *into != value || d.doc.Get(name) != nil {
		d.adjusted[name] = &Node{Kind: Number, Text: secondsText(value)}
	}
	*into = value
}

// secondsText writes 10 or 0.5.
func secondsText(v time.Duration) string { return strconv.FormatFloat(v.Seconds(), 'f', -1, 64) }
