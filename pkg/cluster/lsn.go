package cluster

import (
	"fmt"
	"strconv"
	"strings"
)

// LSN is a position in the write-ahead log, in bytes from its beginning. Zero is PostgreSQL's
// InvalidXLogRecPtr and means "not known"; no record ever starts there.
type LSN uint64

// String gives PostgreSQL's own notation, upper-case hexadecimal without padding: 0/30002D8.
func (l LSN) String() string {
	return fmt.Sprintf("%X/%X", uint64(l)>>32, uint64(l)&0xffffffff)
}

// ParseLSN reads PostgreSQL's X/Y notation.
func ParseLSN(s string) (LSN, error) {
	hi, lo, ok := strings.Cut(strings.TrimSpace(s), "/")
	if !ok {
		return 0, fmt.Errorf("parse LSN %q: no slash", s)
	}
	h, err := strconv.ParseUint(hi, 16, 32)
	if err != nil {
		return 0, fmt.Errorf("parse LSN %q: %w", s, err)
	}
	l, err := strconv.ParseUint(lo, 16, 32)
	if err != nil {
		return 0, fmt.Errorf("parse LSN %q: %w", s, err)
	}
	return LSN(h<<32 | l), nil
}

// Behind gives how many bytes l is behind other; zero if it is level or ahead.
func (l LSN) Behind(other LSN) uint64 {
	if other > l {
		return uint64(other - l)
	}
	return 0
}

// Timeline is a PostgreSQL timeline id; the first is 1, zero means "not known".
type Timeline uint32
