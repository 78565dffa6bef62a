package ha

import (
	"maps"
	"slices"
)

// sortedKeys gives the keys of a set in order: the same input must give the same output.
func sortedKeys(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
