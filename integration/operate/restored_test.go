package operate

import (
	"testing"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// saved takes a backup of etcd and gives what restores it.
func saved(c *testcluster.Cluster) (restore func()) {
	c.Etcd.Kill(0)
	back := c.Etcd.Save(0)
	c.Etcd.Start(0)
	c.WaitHealthy(enough)
	return func() {
		c.Etcd.Kill(0)
		back()
		c.Etcd.Start(0)
	}
}

// restored: the revisions go back, and with them all keys.
func restored(t *testing.T, c *testcluster.Cluster, _ *testcluster.Node) {
	restore := saved(c)
	before := c.View().Revision
	c.Hathi("edit-config", "--force", "-s", "loop_wait=3")
	c.WaitFor(enough, "more revisions", func() bool { return c.View().Revision > before+20 })
	restore()
	if now := c.View(); now.Revision > before+20 {
		t.Errorf("revision %d after the restore, %d when the backup was made", now.Revision, before)
	}
}

// restoredToOther: the leader key names a member that led once. It must not lead beside the one that does, which may
// hear of it later.
func restoredToOther(t *testing.T, c *testcluster.Cluster, l *testcluster.Node) {
	restore := saved(c)
	c.Hathi("switchover", "--force")
	c.WaitHealthy(enough)
	restore()
}
