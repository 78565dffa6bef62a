package doctor

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// sorted puts findings into the order of the files and lines.
func sorted(list []Finding) []Finding {
	slices.SortStableFunc(list, func(a, b Finding) int {
		fileA, lineA := place(a.Where)
		fileB, lineB := place(b.Where)
		return cmp.Or(cmp.Compare(fileA, fileB), cmp.Compare(lineA, lineB), cmp.Compare(a.Key, b.Key))
	})
	return list
}

func place(where string) (name string, line int) {
	i := strings.LastIndexByte(where, ':')
	if n, err := strconv.Atoi(where[i+1:]); err == nil && i >= 0 {
		return where[:i], n
	}
	return where, 0
}
