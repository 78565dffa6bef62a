package ctl

import "testing"

// TestRemoteSection: only what was given is in the section, the port as a number.
func TestRemoteSection(t *testing.T) {
	port := 5433
	for want, r := range map[string]Remote{
		`{"host": "far"}`: {Host: "far"},
		`{"host": "far", "port": 5433, "primary_slot_name": "us", "restore_command": "cp \"%f\""}`: {
			Host: "far", Port: &port, PrimarySlotName: "us", RestoreCommand: `cp "%f"`,
		},
	} {
		if got := r.section(); got != want {
			t.Errorf("section of %+v is %s, want %s", r, got, want)
		}
	}
	if !(Remote{PrimarySlotName: "us"}).Empty() {
		t.Error("a slot alone does not say where the WAL comes from")
	}
}
