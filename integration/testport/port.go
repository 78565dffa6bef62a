// Package testport gives ports to the servers of tests.
package testport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// The range lies below that from which kernels choose ports for outgoing connections (32768 and up on Linux, see
// ip_local_port_range). A port of that range may be taken by any connection of the machine between two starts of a server.
const first, last = 15000, 31999

var (
	mu    sync.Mutex
	taken []net.Listener // the locks, lest the garbage collector closes them
)

// Take gives a port of loopback that nobody listens on. It is given to nobody else, in no process, until this process ends:
// a server that is stopped finds it free when it starts again.
func Take(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := first + rand.IntN(last-first+1)
		// An abstract socket is a lock that all processes see and that the kernel takes away with its process.
		lock, err := net.Listen("unix", fmt.Sprintf("@hathi-test-port-%d", port))
		if err != nil {
			continue
		}
		probe, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			_ = lock.Close()
			continue
		}
		_ = probe.Close()
		mu.Lock()
		taken = append(taken, lock)
		mu.Unlock()
		return port
	}
	t.Fatalf("no free port between %d and %d", first, last)
	return 0
}
