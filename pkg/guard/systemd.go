package guard

import (
	"fmt"
	"net"
	"os"
	"time"
)

// tellSystemd names this process as the main one of its service: systemd sends the request to end to that one, and
// the guard that was it is gone. Without systemd it does nothing. Source: sd_notify(3), MAINPID.
func tellSystemd() error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("tell systemd that process %d is the main one now: %w", os.Getpid(), err)
	}
	defer c.Close()
	_ = c.SetWriteDeadline(time.Now().Add(time.Second)) // a guard must not wait for systemd
	if _, err := fmt.Fprintf(c, "MAINPID=%d", os.Getpid()); err != nil {
		return fmt.Errorf("tell systemd that process %d is the main one now: %w", os.Getpid(), err)
	}
	return nil
}
