package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Dynamic is the cluster's configuration, the /config key. The zero value is that of an empty document that
// was never read; use ParseDynamic with {} for one with defaults.
type Dynamic struct {
	// Settings are in force. UseSlots, UsePgRewind and the two Remove flags are what the document says; Merge
	// puts the local configuration over the last three.
	Settings cluster.Settings

	doc *Node
	// adjusted are the timings that were corrected, as JSON numbers.
	adjusted map[string]*Node
}

// DynamicOptions are what a reader of the document has to know besides.
type DynamicOptions struct {
	// Previous gives the values that stay in force where the new document has mistakes; nil: the defaults.
	Previous *Dynamic
	// PatroniMembers: members that run Patroni are in the cluster. All must come to the same timings, so
	// Patroni's minimum (ttl 20, retry_timeout 3) holds. Without them a ttl of 2 s is possible.
	PatroniMembers bool
}

// HasPatroni reports whether a member runs Patroni, as far as its key tells. A key that can't be read counts.
func HasPatroni(members []cluster.Member) bool {
	for _, m := range members {
		if m.HathiVersion == "" {
			return true
		}
	}
	return false
}

// ParseDynamic reads the /config key. A value that can't be used costs that key only: the previous value stays
// in force and a problem tells it (Patroni rejects the whole document, but for flags that apply all the same).
// The error means that the document is not a JSON object; it then counts as missing.
// Source: configuration.md 4.1 to 4.6.
func ParseDynamic(raw []byte, o DynamicOptions) (Dynamic, Problems, error) {
	doc, err := ParseObject(raw)
	if err != nil {
		return Dynamic{}, nil, fmt.Errorf("read the cluster's configuration: %w", err)
	}
	before := cluster.DefaultSettings()
	if o.Previous != nil && o.Previous.doc != nil {
		before = o.Previous.Settings
	}
	var c collector
	d := Dynamic{doc: doc, adjusted: map[string]*Node{}}
	d.Settings = c.settings(doc, before)
	d.correctTimings(&c, o.PatroniMembers)
	return d, append(c.errors, c.warnings...), nil
}

// ValidateDynamic refuses a document that no member could use as it is meant: one that is no JSON object, or
// has values of a wrong type. Values that members correct or replace by a default pass. The error is Problems.
func ValidateDynamic(raw []byte) error {
	doc, err := ParseObject(raw)
	if err != nil {
		return err
	}
	var c collector
	c.dynamic(doc)
	return c.errors.orNil()
}

// dynamic looks for mistakes in a document without using it.
func (c *collector) dynamic(doc *Node) {
	d := Dynamic{doc: doc, adjusted: map[string]*Node{}, Settings: c.settings(doc, cluster.DefaultSettings())}
	d.correctTimings(c, false)
	c.controlledParameters(doc, 0, nil)
}

// Document gives the document as it was stored, compact.
func (d Dynamic) Document() []byte { return d.doc.Compact() }

// Adjusted gives the document with the timings that are in force, for patroni.dynamic.json and for a /config
// that has to be written again.
func (d Dynamic) Adjusted() []byte {
	doc := d.doc
	if doc == nil {
		return []byte("{}")
	}
	for _, key := range sortedKeys(d.adjusted) {
		doc = doc.with(key, d.adjusted[key])
	}
	return doc.Pretty()
}

// settings reads the cluster-wide keys; before has the values of keys that can't be read.
func (c *collector) settings(doc *Node, before cluster.Settings) cluster.Settings {
	s := c.enter(doc, "")
	def := cluster.DefaultSettings()
	set := def
	set.TTL = s.timing("ttl", def.TTL, before.TTL)
	set.LoopWait = s.timing("loop_wait", def.LoopWait, before.LoopWait)
	set.RetryTimeout = s.timing("retry_timeout", def.RetryTimeout, before.RetryTimeout)
	set.MaximumLagOnFailover = uint64(s.size("maximum_lag_on_failover", int64(def.MaximumLagOnFailover), int64(before.MaximumLagOnFailover), 0))
	set.MaximumLagOnSyncnode = s.size("maximum_lag_on_syncnode", def.MaximumLagOnSyncnode, before.MaximumLagOnSyncnode, -1)
	set.MaxTimelinesHistory = int(s.integer("max_timelines_history", 0, 0))
	set.PrimaryStartTimeout = s.seconds(s.alias("primary_start_timeout", "master_start_timeout"), def.PrimaryStartTimeout, before.PrimaryStartTimeout)
	set.PrimaryStopTimeout = s.seconds(s.alias("primary_stop_timeout", "master_stop_timeout"), 0, before.PrimaryStopTimeout)
	set.MemberSlotsTTL = s.seconds("member_slots_ttl", def.MemberSlotsTTL, before.MemberSlotsTTL)
	set.SynchronousMode = s.syncMode("synchronous_mode", before.SynchronousMode)
	set.SynchronousModeStrict = s.flag("synchronous_mode_strict", before.SynchronousModeStrict)
	set.SynchronousNodeCount = s.count("synchronous_node_count", 1, before.SynchronousNodeCount)
	set.FailsafeMode = s.flag("failsafe_mode", before.FailsafeMode)
	set.CheckTimeline = s.flag("check_timeline", before.CheckTimeline)
	set.Pause = s.flag("pause", before.Pause)
	set.StandbyCluster = s.standbyCluster("standby_cluster", before.StandbyCluster)
	if set.StandbyCluster != nil {
		set.SynchronousMode = cluster.SyncOff
	}
	set.PermanentSlots, set.IgnoreSlots = s.slots(), s.ignoreSlots("ignore_slots")
	pg := s.sub("postgresql")
	set.UseSlots = pg.boolean("use_slots", true)
	set.UsePgRewind = pg.boolean("use_pg_rewind", false)
	set.RemoveDataDirOnRewindFailure = pg.boolean("remove_data_directory_on_rewind_failure", false)
	set.RemoveDataDirOnDivergedTimeline = pg.boolean("remove_data_directory_on_diverged_timelines", false)
	s.ignore("primary_race_backoff", "kubernetes", "synchronous_mode_timeout")
	s.done()
	return set
}

// alias gives the name to read: the old one only if the new one is absent.
func (s *section) alias(name, old string) string {
	s.ignore(name, old)
	if s.node.Get(name) == nil && s.node.Get(old) != nil {
		return old
	}
	return name
}

// timing reads seconds, with or without a unit; fractions of seconds survive only below three.
func (s *section) timing(name string, absent, before time.Duration) time.Duration {
	s.ignore(name)
	n := s.node.Get(name)
	if n == nil {
		return absent
	}
	v, ok := dynamicSeconds(n)
	if !ok {
		s.c.fail(n, s.key(name), "must be a number of seconds; the value before it stays in force")
		return before
	}
	if v >= 3*time.Second {
		v = v.Truncate(time.Second)
	}
	return v
}

// seconds is timing for keys where zero has a meaning and null is like absent.
func (s *section) seconds(name string, absent, before time.Duration) time.Duration {
	n := s.get(name)
	if n == nil {
		return absent
	}
	v, ok := dynamicSeconds(n)
	if !ok || v < 0 {
		s.c.fail(n, s.key(name), "must be a time of 0 s or more; the value before it stays in force")
		return before
	}
	return v
}

func dynamicSeconds(n *Node) (time.Duration, bool) {
	if n.null() || n.Kind == List || n.Kind == Map {
		return 0, false
	}
	text := n.Text
	if n.Kind == Bool {
		text = map[string]string{"true": "1", "false": "0"}[text]
	}
	v, ok := ParseGUCReal(text, "s")
	if !ok || v > 1e8 || v < -1e8 {
		return 0, false
	}
	return time.Duration(v * float64(time.Second)), true
}

// size reads bytes, with or without a unit.
func (s *section) size(name string, absent, before, least int64) int64 {
	n := s.get(name)
	if n == nil {
		return absent
	}
	v, ok := ParseGUC(scalarText(n), "B")
	if n.Kind == Bool || !ok || v < least {
		s.c.fail(n, s.key(name), fmt.Sprintf("must be a size in bytes, %d or more; the value before it stays in force", least))
		return before
	}
	if _, plain := ParseGUC(scalarText(n), ""); !plain {
		s.c.warn(n, s.key(name), "has a unit, which Patroni members can't read: they use their default")
	}
	return v
}

func (s *section) count(name string, absent, before int) int {
	n := s.get(name)
	if n == nil {
		return absent
	}
	v, ok := wholeNumber(n)
	if !ok || v > 1<<20 {
		s.c.fail(n, s.key(name), "must be a whole number; the value before it stays in force")
		return before
	}
	return int(v)
}

func (s *section) flag(name string, before bool) bool {
	n := s.get(name)
	if n == nil {
		return false
	}
	if v, ok := boolWord(n); ok {
		return v
	}
	s.c.fail(n, s.key(name), "must be a boolean (on or off); the value before it stays in force")
	return before
}

func (s *section) syncMode(name string, before cluster.SynchronousMode) cluster.SynchronousMode {
	n := s.get(name)
	if n == nil {
		return cluster.SyncOff
	}
	if strings.EqualFold(scalarText(n), "quorum") {
		return cluster.SyncQuorum
	}
	on, ok := boolWord(n)
	switch {
	case !ok:
		s.c.fail(n, s.key(name), "must be on, off or quorum; the value before it stays in force")
		return before
	case on:
		return cluster.SyncOn
	}
	return cluster.SyncOff
}
