package agent

import (
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// TestCopyIsOfThisCluster: whoever copies knows of which cluster the source has to be.
func TestCopyIsOfThisCluster(t *testing.T) {
	o := ha.Observation{}
	o.Store.View = &cluster.View{Initialize: cluster.Initialize{Present: true, Value: "7000000000000000001"}}
	if got := (&Agent{}).copyOf(o, "node1"); got.SystemID != "7000000000000000001" {
		t.Errorf("got %+v", got)
	}
}
