// Package testetcd gives tests a real etcd: one process per member, on free loopback ports, with its data
// in t.TempDir(), which can be stopped, killed, frozen and started again.
//
//	import "github.com/hathi-ha/hathi/integration/testetcd"
//
//	func TestX(t *testing.T) {
//		c := testetcd.Start(t)           // one member
//		c := testetcd.Start(t, 3)        // three members
//		use(c.Endpoints())               // "http://127.0.0.1:39211", ...; c.Addresses() has no scheme
//		c.Kill(0); c.Start(0)            // SIGKILL, and back on the same port with the same data
//		c.Stop(0)                        // SIGTERM and wait
//		c.Pause(0); c.Resume(0)          // SIGSTOP, SIGCONT
//		c.Wipe(0); c.Start(0)            // an etcd that lost its data (single member only)
//	}                                    // everything ends with the test
//
// Members elect within half a second and let a lease go about half a second after its TTL; the smallest
// TTL they grant is one second. A member that does not come up fails the test with what it logged.
//
// The program (integration/etcdproc) is built once with the go command into the user's cache directory,
// where the go command itself sees whether it is still current; it is never built with -race, which would
// make etcd slow and find nothing of ours.
package testetcd
