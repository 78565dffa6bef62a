// Package privilege gives up root. PostgreSQL refuses to run as root, and so does everything of hathi that
// touches a data directory; a process that was started as root becomes the operating-system user that owns
// the database, for good.
package privilege

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// DropTo makes the whole process the given user, with that user's groups, HOME, USER and LOGNAME. It can't
// be undone. It does nothing if the process is that user already and fails if it is neither that user nor
// root. Call it early in main, before files are opened: what is open stays open.
func DropTo(username string) error {
	u, cred, err := lookUp(username)
	if err != nil {
		return err
	}
	if os.Geteuid() == int(cred.Uid) && os.Getuid() == int(cred.Uid) {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("become user %q: only root can; run hathi as root or as %q", username, username)
	}
	// Groups first, the user last: afterwards the right to change any of them is gone. Package syscall
	// changes all threads of the process at once.
	groups := make([]int, len(cred.Groups))
	for i, g := range cred.Groups {
		groups[i] = int(g)
	}
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("set groups of user %q: %w", username, err)
	}
	if err := syscall.Setgid(int(cred.Gid)); err != nil {
		return fmt.Errorf("set group of user %q: %w", username, err)
	}
	if err := syscall.Setuid(int(cred.Uid)); err != nil {
		return fmt.Errorf("become user %q: %w", username, err)
	}
	if err := errors.Join(os.Setenv("HOME", u.HomeDir), os.Setenv("USER", username), os.Setenv("LOGNAME", username)); err != nil {
		return fmt.Errorf("set environment of user %q: %w", username, err)
	}
	return nil
}

// Credential gives what exec needs to start a program as the given user, with that user's groups. It is nil
// without an error if this process is that user already, so that it can be used without root, too.
func Credential(username string) (*syscall.Credential, error) {
	_, cred, err := lookUp(username)
	if err != nil {
		return nil, err
	}
	if os.Geteuid() == int(cred.Uid) {
		return nil, nil
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("run as user %q: only root can; run hathi as root or as %q", username, username)
	}
	return cred, nil
}

func lookUp(username string) (*user.User, *syscall.Credential, error) {
	u, err := user.Lookup(username)
	if err != nil {
		return nil, nil, fmt.Errorf("look up user %q: %w", username, err)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, nil, fmt.Errorf("look up groups of user %q: %w", username, err)
	}
	uid, err := number(u.Uid)
	if err != nil {
		return nil, nil, fmt.Errorf("look up user %q: %w", username, err)
	}
	gid, err := number(u.Gid)
	if err != nil {
		return nil, nil, fmt.Errorf("look up user %q: %w", username, err)
	}
	cred := &syscall.Credential{Uid: uid, Gid: gid}
	for _, id := range ids {
		g, err := number(id)
		if err != nil {
			return nil, nil, fmt.Errorf("look up groups of user %q: %w", username, err)
		}
		cred.Groups = append(cred.Groups, g)
	}
	return u, cred, nil
}

func number(id string) (uint32, error) {
	n, err := strconv.ParseUint(id, 10, 32)
	return uint32(n), err
}
