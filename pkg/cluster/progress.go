package cluster

import "fmt"

// Progress is how far a long action on a member's data has come. The zero value: none is under way, or nothing is
// known of it.
type Progress struct {
	// What is under way, in words: base backup, pg_rewind, crash recovery.
	What string
	// Phase is a part of it that has no measure, such as a wait for a checkpoint; empty: Done and Total tell.
	Phase string
	// Done and Total are bytes; a Total of zero: nobody knows.
	Done, Total int64
}

// String gives the progress for people, empty if there is none: "base backup: 12 MB of 340 MB (3%)".
func (p Progress) String() string {
	switch {
	case p.What == "":
		return ""
	case p.Phase != "":
		return p.What + ": " + p.Phase
	case p.Total > 0:
		return fmt.Sprintf("%s: %s of %s (%d%%)", p.What, bytesText(p.Done), bytesText(p.Total), min(100, 100*p.Done/p.Total))
	}
	return p.What + ": " + bytesText(p.Done)
}

// bytesText rounds down, in PostgreSQL's units.
func bytesText(n int64) string {
	switch {
	case n < 10<<20:
		return fmt.Sprint(n>>10, " kB")
	case n < 10<<30:
		return fmt.Sprint(n>>20, " MB")
	}
	return fmt.Sprint(n>>30, " GB")
}
