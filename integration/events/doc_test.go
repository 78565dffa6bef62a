// Package events lets everything that can happen to a node happen to a cluster of real processes, and
// accounts for every acknowledged row.
package events

import (
	"testing"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }
