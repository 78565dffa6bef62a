package testnet

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"
)

// TestMain lets copies of this test binary listen and send on the hosts.
func TestMain(m *testing.M) {
	if len(os.Args) < 3 || !slices.Contains([]string{"listen", "send", "echo"}, os.Args[1]) {
		os.Exit(m.Run())
	}
	if err := speak(os.Args[1], os.Args[2]); err != nil {
		fmt.Println(err)
	}
}

func speak(what, address string) error {
	if what == "echo" {
		return echo(address)
	}
	if what == "send" {
		conn, err := net.Dial("udp", address)
		if err != nil {
			return err
		}
		for range 10 {
			// A line that is cut must not tell. A listener that has heard enough does.
			if _, err := conn.Write([]byte("word")); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
				return err
			}
			time.Sleep(20 * time.Millisecond)
		}
		return conn.Close()
	}
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil { // hears ends it before
		return err
	}
	if _, _, err := conn.ReadFrom(make([]byte, 10)); err != nil {
		return err
	}
	fmt.Println("heard")
	return nil
}

func on(wrap []string, args ...string) *exec.Cmd {
	all := append(append(append([]string{}, wrap...), os.Args[0]), args...)
	return exec.Command(all[0], all[1:]...)
}

// hears reports whether what one host sends arrives at another.
func hears(t *testing.T, from, to []string, address string) bool {
	t.Helper()
	listen := on(to, "listen", address)
	out, err := listen.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := listen.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("no listener: %q", lines.Text())
	}
	if out, err := on(from, "send", address).CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("the sender was told something: %s, %v", out, err)
	}
	end := time.AfterFunc(2*time.Second, func() { _ = listen.Process.Kill() }) // all that was sent has arrived, or is lost
	defer end.Stop()
	heard := lines.Scan() && lines.Text() == "heard"
	_ = listen.Wait()
	return heard
}

// TestCut: a line that is cut loses what is sent over it and says nothing, and only that line does.
func TestCut(t *testing.T) {
	n := New(t)
	addressA, a := n.Host("a")
	addressB, b := n.Host("b")
	for _, c := range []struct {
		name     string
		do       func()
		aToB, bA bool
	}{
		{"all lines open", func() {}, true, true},
		{"one way cut", func() { n.Cut("a", "b") }, false, true},
		{"mended", func() { n.Mend("a", "b") }, true, true},
		{"cut off", func() { n.CutOff("b", "a") }, false, false},
		{"all mended", n.MendAll, true, true},
	} {
		c.do()
		if got := hears(t, a, b, addressB+":7000"); got != c.aToB {
			t.Errorf("%s: b hears a: %t", c.name, got)
		}
		if got := hears(t, b, a, addressA+":7000"); got != c.bA {
			t.Errorf("%s: a hears b: %t", c.name, got)
		}
	}
}

// TestLose: a line that loses all its packets is as good as cut, and mended it loses none.
func TestLose(t *testing.T) {
	n := New(t)
	_, a := n.Host("a")
	address, b := n.Host("b")
	mend := n.Lose("b", 1)
	if hears(t, a, b, address+":7000") {
		t.Error("b hears a although all is lost")
	}
	mend()
	mend()
	if !hears(t, a, b, address+":7000") {
		t.Error("b does not hear a after the line was mended")
	}
}

// TestSlow: a slow line takes its time for what goes over it, either way, and a mended one does not.
func TestSlow(t *testing.T) {
	n := New(t)
	address, b := n.Host("b")
	server := exec.Command(b[0], append(b[1:], os.Args[0], "echo", address+":7000")...)
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("no server: %q, %v", line, err)
	}
	conn, err := net.Dial("tcp", address+":7000")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	trip := func() time.Duration {
		const size = 32 << 10
		begin := time.Now()
		go func() { _, _ = conn.Write(make([]byte, size)) }()
		if _, err := io.ReadFull(conn, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		return time.Since(begin)
	}
	trip()
	mend := n.Slow("b", 512, 200*time.Millisecond)
	slow := trip()
	if slow < 400*time.Millisecond {
		t.Errorf("32 KiB there and back over 512 kbit/s took %s", slow)
	}
	mend()
	took := trip()
	for range 4 { // the least of five: the machine may be busy
		took = min(took, trip())
	}
	if took >= slow {
		t.Errorf("32 KiB there and back over a mended line took %s, over the slow one %s", took, slow)
	}
}

// echo gives back what it hears on one connection.
func echo(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	_, err = io.Copy(conn, conn)
	return err
}
