package guard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// fileServer serves an empty directory over FUSE until it is told to hang: then whoever asks for anything in it waits,
// as with a file server on the network that does not answer. Source: fuse(4), linux/fuse.h.
type fileServer struct {
	fd  int
	dir string
	mu  sync.Mutex // held while it hangs
	// goOn ends that.
	goOn func()
}

// The requests that matter here, and how long their answers are.
const (
	fuseForget, fuseGetattr, fuseInit, fuseInterrupt, fuseBatchForget = 2, 3, 26, 36, 42
	fuseHeaderIn, fuseHeaderOut, fuseAttrOut, fuseInitOut             = 40, 16, 104, 64
)

// serveFiles mounts one at dir, which only root can.
func serveFiles(t *testing.T, dir string) *fileServer {
	t.Helper()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal("this needs root and a kernel with FUSE: ", err)
	}
	s := &fileServer{fd: fd, dir: dir}
	if err := unix.Mount("hathi-test", dir, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40700,user_id=0,group_id=0,allow_other", fd)); err != nil {
		t.Fatal(err)
	}
	go s.serve()
	t.Cleanup(func() {
		_ = unix.Unmount(dir, unix.MNT_DETACH|unix.MNT_FORCE) // ends all waiting, too
	})
	return s
}

// hang keeps everybody waiting, once.
func (s *fileServer) hang() {
	s.mu.Lock()
	s.goOn = sync.OnceFunc(s.mu.Unlock)
}

func (s *fileServer) serve() {
	defer unix.Close(s.fd)
	request := make([]byte, 1<<17)
	for {
		n, err := unix.Read(s.fd, request)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOENT) { // interrupted; taken back by who asked
			continue
		}
		if err != nil || n < fuseHeaderIn {
			return // it was unmounted
		}
		s.mu.Lock()
		s.answer(request)
		s.mu.Unlock()
	}
}

func (s *fileServer) answer(request []byte) {
	le := binary.LittleEndian
	var body []byte
	var failed unix.Errno
	switch le.Uint32(request[4:]) {
	case fuseForget, fuseBatchForget, fuseInterrupt:
		return // these have no answer
	case fuseInit:
		body = make([]byte, fuseInitOut)
		le.PutUint32(body, 7)
		le.PutUint32(body[4:], 31)     // version 7.31
		le.PutUint32(body[20:], 1<<16) // max_write
		le.PutUint16(body[16:], 16)    // max_background
	case fuseGetattr: // valid for no time at all, so that everybody asks
		body = make([]byte, fuseAttrOut)
		attr := body[16:]
		le.PutUint64(attr, 1) // inode
		le.PutUint32(attr[60:], unix.S_IFDIR|0o700)
		le.PutUint32(attr[64:], 2) // links
	default:
		failed = unix.ENOSYS
	}
	out := make([]byte, fuseHeaderOut, fuseHeaderOut+len(body))
	le.PutUint32(out, uint32(fuseHeaderOut+len(body)))
	le.PutUint32(out[4:], uint32(-int32(failed)))
	copy(out[8:], request[8:16])                  // of which request
	_, _ = unix.Write(s.fd, append(out, body...)) // who has asked may have gone
}

// TestFileServerHangs: the data are on a file server that does not answer any more. The agent hangs over it, and the
// guard must not: what it knows by process id ends in time, and the lock is given up when it could be looked whether
// anything else is there.
func TestFileServerHangs(t *testing.T) {
	for name, prepare := range map[string]func(n *testNode){
		"the postmaster lives": func(*testNode) {},
		"only children are left": func(n *testNode) {
			if err := n.server.Process.Kill(); err != nil {
				n.t.Fatal(err)
			}
			n.await("only children are left", func() bool { return n.serverProcesses() == 2 })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var files *fileServer
			n := startNode(t, "renews", false, func(dir string) { files = serveFiles(t, filepath.Join(dir, "data")) })
			n.await("the guard is armed", func() bool { return len(n.noted("deadline")) == 1 })
			prepare(n)
			server := n.serverPIDs()
			files.hang()
			defer func() { files.goOn() }() // the end of the test would wait, too
			n.endsInTime(server)
			if released := n.noted("released"); len(released) > 0 {
				t.Errorf("lease %v was released although nobody knows what else there is", released)
			}
			files.goOn()
			n.await("the lock is given up", func() bool { return len(n.noted("released")) > 0 })
		})
	}
}
