package testnet

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestMain lets copies of this test binary listen and send on the hosts.
func TestMain(m *testing.M) {
	if len(os.Args) < 3 || os.Args[1] != "listen" && os.Args[1] != "send" {
		os.Exit(m.Run())
	}
	if err := speak(os.Args[1], os.Args[2]); err != nil {
		fmt.Println(err)
	}
}

func speak(what, address string) error {
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
	if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
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
	lines.Scan()
	heard := lines.Text() == "heard"
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
