// Package events lets everything that can happen to a node happen to a cluster of real processes, and
// accounts for every acknowledged row.
package events

import (
	"os"
	"testing"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testcluster.Cleanup()
	os.Exit(code)
}
