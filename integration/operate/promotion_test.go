package operate

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// TestPromotionThatDoesNotEnd: the candidate of a switchover hangs in its restore_command when it is promoted. It
// gives way to another member, which has all that it has, and is a replica when the command goes on.
func TestPromotionThatDoesNotEnd(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{
		TTL: 6, LoopWait: 2, Retry: 2, DCS: "primary_start_timeout: 5",
		Postgres: `recovery_conf: {restore_command: "case %f in *.history) while test -e {dir}/hang; do sleep 0.2; done ;; esac; false"}`,
	})
	leader := c.WaitSettled(enough)
	stuck := c.Replicas(leader)[0]
	hang := filepath.Join(stuck.Dir, "hang")
	if err := os.WriteFile(hang, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	client := c.StartWriter()
	c.Put("failover", fmt.Sprintf(`{"leader": %q, "member": %q}`, leader.Name, stuck.Name))
	c.WaitFor(enough, "lock of the candidate", func() bool { v := c.Look(); return v != nil && v.Leader.Name == stuck.Name })
	c.WaitFor(3*time.Minute, "other leader", func() bool { l := c.Leader(); return l != nil && l != stuck })
	c.WaitWrites(client, enough)
	if err := os.Remove(hang); err != nil {
		t.Fatal(err)
	}
	c.WaitHealthy(2 * time.Minute)
	c.Account(true, client)
}
