package view

import (
	"fmt"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
)

// footer is what stands below the table: maintenance mode and a scheduled switchover.
func footer(c ctl.Cluster) string {
	var b strings.Builder
	if c.Paused {
		b.WriteString(" Maintenance mode: on\n")
	}
	s := c.Scheduled
	if s.ScheduledAt.IsZero() {
		return b.String()
	}
	fmt.Fprintf(&b, " Switchover scheduled at: %s\n", cluster.FormatISO(s.ScheduledAt))
	if s.Leader != "" {
		fmt.Fprintf(&b, "%24s: %s\n", "from", s.Leader)
	}
	if s.Candidate != "" {
		fmt.Fprintf(&b, "%24s: %s\n", "to", s.Candidate)
	}
	return b.String()
}
