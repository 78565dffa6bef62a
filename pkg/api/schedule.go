package api

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var scheduleForm = regexp.MustCompile(`^\s*(\d{4})-?(\d\d)-?(\d\d)[Tt ]\s*(\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d{1,9}))?)?\s*` +
	`(?:([Zz]|UTC|GMT)|([-+])(\d\d)(?::?(\d\d))?)?\s*$`)

// parseSchedule reads a moment in ISO 8601. zoned is false if it has no offset, so that nobody knows when
// that is; ok is false if it can't be read.
func parseSchedule(s string) (t time.Time, zoned, ok bool) {
	m := scheduleForm.FindStringSubmatch(s)
	if m == nil {
		return t, false, false
	}
	n := func(i int) int { v, _ := strconv.Atoi(m[i]); return v }
	nanos, _ := strconv.Atoi((m[7] + strings.Repeat("0", 9))[:9])
	offset := n(10)*3600 + n(11)*60
	if n(10) > 23 || n(11) > 59 {
		return t, false, false
	}
	if m[9] == "-" {
		offset = -offset
	}
	t = time.Date(n(1), time.Month(n(2)), n(3), n(4), n(5), n(6), nanos, time.FixedZone("", offset))
	// time.Date turns 31 February into March; nobody means that.
	if int(t.Month()) != n(2) || t.Day() != n(3) || t.Hour() != n(4) || t.Minute() != n(5) || t.Second() != n(6) {
		return t, false, false
	}
	return t, m[8] != "" || m[9] != "", true
}

// schedule reads the time of a planned action (switchover or restart) and refuses what can't be planned.
func (s *Server) schedule(value, action string) (time.Time, *reply) {
	at, zoned, ok := parseSchedule(value)
	var a reply
	switch {
	case !ok:
		a = text(http.StatusUnprocessableEntity, "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601")
	case !zoned:
		a = text(http.StatusBadRequest, "Timezone information is mandatory for the scheduled "+action)
	case at.Before(s.o.Clock.Wall()):
		a = text(http.StatusUnprocessableEntity, "Cannot schedule "+action+" in the past")
	default:
		return at, nil
	}
	return at, &a
}
