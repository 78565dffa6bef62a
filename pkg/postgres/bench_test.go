package postgres

import (
	"context"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestObserveIsCheap holds what one look costs; an agent at rest takes one each ten seconds.
func TestObserveIsCheap(t *testing.T) {
	i := primary(t)
	i.Observe(t.Context())
	r := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if s := i.Observe(context.Background()); !s.Answered || s.Process != cluster.ProcessRunning {
				b.Fatalf("%+v", s)
			}
		}
	})
	t.Logf("one observation: %s, %s", r, r.MemString())
	if r.AllocedBytesPerOp() > 256<<10 {
		t.Errorf("one observation allocates %d bytes", r.AllocedBytesPerOp())
	}
}
