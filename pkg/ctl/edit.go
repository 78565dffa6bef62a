package ctl

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/config"
)

// Edit is a change of a cluster's configuration while it is being put together.
type Edit struct {
	Cluster string // as the user named it
	Scope   string // as etcd knows it
	Before  *config.Node
	After   *config.Node
	// revision is that of Before: only that one is replaced.
	revision int64
}

// StartEdit begins with the configuration as it is. One that can't be read counts as empty.
func StartEdit(name, scope string, v *cluster.View) (*Edit, error) {
	if !v.Config.Present {
		return nil, refuse("The config key does not exist in the cluster %s", name)
	}
	doc, err := config.ParseObject(v.Config.Raw)
	if err != nil {
		doc = &config.Node{Kind: config.Map}
	}
	return &Edit{Cluster: name, Scope: scope, Before: doc, After: doc, revision: v.Config.Revision}, nil
}

// Replace puts a YAML document in the place of everything. source is its name in messages.
func (e *Edit) Replace(source string, text []byte) error {
	doc, err := mapping(source, text)
	if err == nil {
		e.After = (&config.Node{Kind: config.Map}).Patch(doc)
	}
	return err
}

// Apply merges a YAML document; nulls in it remove keys.
func (e *Edit) Apply(source string, text []byte) error {
	doc, err := mapping(source, text)
	if err == nil {
		e.After = e.After.Patch(doc)
	}
	return err
}

// Write takes a YAML document as the new configuration, as it is.
func (e *Edit) Write(source string, text []byte) error {
	doc, err := mapping(source, text)
	if err == nil {
		e.After = doc
	}
	return err
}

func mapping(source string, text []byte) (*config.Node, error) {
	doc, err := config.ParseYAML(source, text)
	switch {
	case err != nil:
		return nil, err
	case doc.Kind != config.Map:
		return nil, config.Problems{{Where: source, Text: "must hold key: value lines at its top level"}}
	}
	return doc, nil
}

// parameters is the path below which all that follows is one key: names of extensions' parameters have dots.
var parameters = []string{"postgresql", "parameters"}

// Set takes path=value, the value as YAML; a value of null, or none, removes the key.
func (e *Edit) Set(assignment string) error {
	path, value, ok := strings.Cut(assignment, "=")
	path = strings.TrimSpace(path)
	if !ok || path == "" {
		return refuse("Invalid parameter setting %s", assignment)
	}
	node, err := config.ParseSetting(path, value)
	if err != nil {
		return err
	}
	keys := strings.Split(path, ".")
	if len(keys) > 3 && slices.Equal(keys[:2], parameters) {
		keys = []string{keys[0], keys[1], strings.Join(keys[2:], ".")}
	}
	if slices.Contains(keys, "") {
		return refuse("Invalid parameter setting %s: a part of the path is empty", assignment)
	}
	e.After = e.After.SetPath(keys, node)
	return nil
}

// SetParameter is Set for a parameter of PostgreSQL.
func (e *Edit) SetParameter(assignment string) error {
	return e.Set(strings.Join(parameters, ".") + "." + strings.TrimLeft(assignment, " \t"))
}

// Same reports whether nothing would change.
func (e *Edit) Same() bool { return config.SameData(e.Before, e.After) }

// Check tells what is wrong with the new configuration and was not wrong before: with mistakes no member could use
// it as it is meant; warnings are about what members would correct or not know.
func (e *Edit) Check() (mistakes, warnings config.Problems) {
	oldMistakes, oldWarnings := config.CheckDocument(e.Before)
	mistakes, warnings = config.CheckDocument(e.After)
	return without(mistakes, oldMistakes), without(warnings, oldWarnings)
}

func without(list, known config.Problems) config.Problems {
	return slices.DeleteFunc(list, func(p config.Problem) bool {
		return slices.ContainsFunc(known, func(k config.Problem) bool { return k.Key == p.Key && k.Value == p.Value && k.Text == p.Text })
	})
}

// Rebase makes the same change on the configuration as it is now. It gives the paths that somebody else has changed
// to something else meanwhile; ours wins there.
func (e *Edit) Rebase(v *cluster.View) (clashes []string, err error) {
	now, err := StartEdit(e.Cluster, e.Scope, v)
	if err != nil {
		return nil, err
	}
	e.After, clashes = config.Rebase(e.Before, e.After, now.Before)
	e.Before, e.revision = now.Before, now.revision
	return clashes, nil
}

// WriteConfig stores the new configuration if nobody has changed it since it was read; false: somebody has.
func (c *Control) WriteConfig(ctx context.Context, e *Edit) (bool, error) {
	ok, err := c.store().PutConfig(ctx, e.Scope, e.After.Compact(), e.revision)
	if err != nil && !asPlanned(err) {
		return false, fmt.Errorf("write the configuration of cluster %s to etcd: %w", e.Cluster, err)
	}
	return ok, err
}
