package etcd_test

import (
	"errors"
	"slices"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/hathi-ha/hathi/integration/testetcd"
	"github.com/hathi-ha/hathi/pkg/dcs/etcd"
)

// What a reload of the agent can change: the user, the password and the endpoints of a client that is in use.
func TestReconfigure(t *testing.T) {
	e := testetcd.Start(t)
	cli, ctx := raw(t, e), ctxFor(t)
	_, err := cli.RoleAdd(ctx, "root")
	for _, user := range []string{"root", "old", "new"} {
		if err == nil {
			_, err = cli.UserAdd(ctx, user, "pw-"+user)
		}
		if err == nil {
			_, err = cli.UserGrantRole(ctx, user, "root")
		}
	}
	if err == nil {
		_, err = cli.AuthEnable(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	options := etcd.Options{Hosts: e.Addresses(), Username: "old", Password: "pw-old"}
	c := openWith(t, options)
	s := joinWith(t, c, "a")
	waitFor(t, s, "the first view", healthy)
	lead(t, s, longTTL)

	// The old user is about to be deleted: the new one is configured, and then it is gone.
	options.Username, options.Password = "new", "pw-new"
	if err := c.Reconfigure(ctx, options); err != nil {
		t.Fatal(err)
	}
	root, err := clientv3.New(clientv3.Config{Endpoints: e.Addresses(), Username: "root", Password: "pw-root"})
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := root.UserDelete(ctx, "old"); err != nil {
		t.Fatal(err)
	}
	_, holds := renew(t, s, longTTL, true)
	expect(t, "the lock as the new user", true)(holds, nil)

	wrong := options
	wrong.Password = "x"
	if err := c.Reconfigure(ctx, wrong); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Snapshot(ctx, "batman"); !errors.Is(err, etcd.ErrAuthentication) {
		t.Errorf("with a wrong password: %v, want ErrAuthentication", err)
	}
	both := options
	both.Hosts = append([]string{"127.0.0.1:1"}, e.Addresses()...)
	if err := c.Reconfigure(ctx, both); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Snapshot(ctx, "batman"); err != nil || !slices.Contains(c.Endpoints(), "http://127.0.0.1:1") {
		t.Errorf("with another list of endpoints %v: %v", c.Endpoints(), err)
	}
	options.Protocol = "https"
	if err := c.Reconfigure(ctx, options); !errors.Is(err, etcd.ErrNeedsNewClient) {
		t.Errorf("https instead of http: %v", err)
	}
}
