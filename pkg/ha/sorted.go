package ha

import (
	"maps"
	"slices"
)

// sortedKeys gives the keys of a map in order: the same input must give the same output.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
