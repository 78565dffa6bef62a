package testcluster

import "strings"

// Words splits a line at blanks, but not within single quotes; a tilde there stands for one.
func Words(line string) []string {
	var list []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 0 {
			list = append(list, strings.Fields(part)...)
		} else {
			list = append(list, strings.ReplaceAll(part, "~", "'"))
		}
	}
	return list
}

// WithoutTables leaves one line of each table, and none of what tells how far a change is.
func WithoutTables(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "Waiting: ") || strings.Contains(line, " cluster is unlocked: ") {
			continue
		}
		if strings.HasPrefix(line, "+") || strings.HasPrefix(line, "|") {
			if lines[len(lines)-1] != "…\n" {
				lines = append(lines, "…\n")
			}
			continue
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "")
}
