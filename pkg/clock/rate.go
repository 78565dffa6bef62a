//go:build !drift

package clock

import "time"

// The clock of what ships runs as the kernel's does; see drift.go for the one that does not.

// shown gives what System shows when the kernel's clock shows an instant.
func shown(kernel Instant) Instant { return kernel }

// Kernel gives what the kernel's clock shows when System shows i: timers of the kernel take that.
func Kernel(i Instant) Instant { return i }

// NewTimer is time.NewTimer for a duration that System has measured.
func NewTimer(d time.Duration) *time.Timer { return time.NewTimer(d) }
