package ctl

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// ParseTime reads a time from the command line: a date, a time of today, or both, in unambiguous formats.
// A time without offset is in now's zone. The zero time means now: the word "now" or nothing at all. Times
// in the past are not refused; the server does that.
func ParseTime(text string, now time.Time) (time.Time, error) {
	if text == "" || text == "now" {
		return time.Time{}, nil
	}
	rest, zone, ok := splitZone(strings.TrimSpace(text), now.Location())
	if ok {
		for _, layout := range layouts() {
			t, err := time.ParseInLocation(layout, rest, zone)
			if err != nil {
				continue
			}
			if t.Year() == 0 { // a time of day
				y, m, d := now.In(zone).Date()
				t = time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)
			}
			return t, nil
		}
	}
	return time.Time{}, refuse("Unable to parse scheduled timestamp (%s). It should be in an unambiguous format (e.g. ISO 8601)", text)
}

// layouts are dates and times in all combinations; fractions of seconds need no layout of their own.
var layouts = sync.OnceValue(func() []string {
	list := []string{"20060102T1504", "20060102T150405", "20060102"}
	times := []string{"15:04", "15:04:05", "3pm", "3 pm", "3:04pm", "3:04 pm"}
	for _, date := range []string{"2006-1-2", "2006/1/2", "Jan 2 2006", "Jan 2, 2006", "2 Jan 2006", "1/2/2006"} {
		list = append(list, date)
		for _, t := range times {
			list = append(list, date+"T"+t, date+" "+t)
		}
	}
	return append(list, times...)
})

var zoneSuffix = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(.*(?:[:T]|[0-9] ?[ap]m).*?) ?(Z|z|UTC|GMT|([+-])([0-9]{1,2})(?::?([0-9]{2}))?)$`)
})

// splitZone takes the offset off the end, if there is one after a time.
func splitZone(text string, local *time.Location) (rest string, zone *time.Location, ok bool) {
	m := zoneSuffix().FindStringSubmatch(text)
	if m == nil {
		return text, local, true
	}
	if m[3] == "" {
		return m[1], time.UTC, true
	}
	hours, _ := strconv.Atoi(m[4])
	minutes, _ := strconv.Atoi("0" + m[5])
	if hours > 23 || minutes > 59 {
		return "", nil, false
	}
	seconds := hours*3600 + minutes*60
	if m[3] == "-" {
		seconds = -seconds
	}
	return m[1], time.FixedZone("", seconds), true
}

// CheckVersion accepts the version of a PostgreSQL release: X.Y from 10 on, or X.Y.Z.
func CheckVersion(text string) error {
	if _, err := cluster.ParseVersion(text); err != nil {
		return refuse("%v", err)
	}
	return nil
}
