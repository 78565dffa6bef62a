package ctl_test

import (
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
)

// Source: the table of times on the command line in the contract, zone Asia/Tokyo.
func TestParseTime(t *testing.T) {
	now := time.Date(2026, 11, 23, 2, 0, 0, 0, time.FixedZone("JST", 9*3600))
	for text, want := range map[string]string{
		"2030-01-01T00:00":            "2030-01-01T00:00:00+09:00",
		"2030-01-01 00:00":            "2030-01-01T00:00:00+09:00",
		"2030-01-01":                  "2030-01-01T00:00:00+09:00",
		"2030-01-01T00:00:05.25":      "2030-01-01T00:00:05.250000+09:00",
		"2030-01-01T00:00Z":           "2030-01-01T00:00:00+00:00",
		"2030-01-01 00:00 UTC":        "2030-01-01T00:00:00+00:00",
		"2030-01-01 00:00 GMT":        "2030-01-01T00:00:00+00:00",
		"2030-01-01T00:00-03:00":      "2030-01-01T00:00:00-03:00",
		"2030-01-01T00:00-3":          "2030-01-01T00:00:00-03:00",
		"2030-01-01T00:00-0300":       "2030-01-01T00:00:00-03:00",
		"2030-01-01T00:00:00.5+05:30": "2030-01-01T00:00:00.500000+05:30",
		"20300101T1000":               "2030-01-01T10:00:00+09:00",
		"20300101T100000Z":            "2030-01-01T10:00:00+00:00",
		"10:15":                       "2026-11-23T10:15:00+09:00",
		"10:15:30":                    "2026-11-23T10:15:30+09:00",
		"10pm":                        "2026-11-23T22:00:00+09:00",
		"Jan 5 2030 10:00":            "2030-01-05T10:00:00+09:00",
		"5 Jan 2030":                  "2030-01-05T00:00:00+09:00",
		"1/2/2030 10:00":              "2030-01-02T10:00:00+09:00",
		"now":                         "",
		"":                            "",
		"NOW":                         "refused",
		"tomorrow":                    "refused",
		"in 5 minutes":                "refused",
		"2030-13-01":                  "refused",
		"2115-02-30T12:00":            "refused",
		"2030-01-01T24:00":            "refused",
		"1893456000":                  "refused",
		"14":                          "refused",
		"Monday 10:00":                "refused",
		"2030-01-01 10:00 CET":        "refused",
		"2030-01-01T00:00+99:00":      "refused",
	} {
		at, err := ctl.ParseTime(text, now)
		got := ""
		if !at.IsZero() {
			got = cluster.FormatISO(at)
		}
		if want == "refused" {
			wantError(t, err, "Unable to parse scheduled timestamp ("+text+"). It should be in an unambiguous format (e.g. ISO 8601)")
			continue
		}
		if err != nil || got != want {
			t.Errorf("%q: got %s, %v, want %s", text, got, err, want)
		}
	}
}

func TestCheckVersion(t *testing.T) {
	const format = "Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: "
	for text, want := range map[string]string{
		"16.4": "", "9.5.3": "", "10.1": "", "16.4.1": "",
		"9.6": format + "9.6", "16": format + "16",
		"abc": "Invalid PostgreSQL version: abc", "16.": "Invalid PostgreSQL version: 16.",
	} {
		wantError(t, ctl.CheckVersion(text), want)
	}
}
