package testetcd_test

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/hathi-ha/hathi/integration/testetcd"
)

func connect(t *testing.T, endpoints ...string) *clientv3.Client {
	t.Helper()
	cli, err := clientv3.New(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cli.Close() })
	return cli
}

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func TestOneMemberKeepsItsDataAndLosesItWhenWiped(t *testing.T) {
	c := testetcd.Start(t)
	cli := connect(t, c.Endpoints()...)
	if _, err := cli.Put(within(t, 10*time.Second), "a", "1"); err != nil {
		t.Fatal(err)
	}
	c.Kill(0)
	c.Start(0)
	got, err := cli.Get(within(t, 10*time.Second), "a")
	if err != nil || len(got.Kvs) != 1 {
		t.Fatalf("after kill and start: %v, %v", got, err)
	}
	c.Stop(0)
	c.Wipe(0)
	c.Start(0)
	got, err = cli.Get(within(t, 10*time.Second), "a")
	if err != nil || len(got.Kvs) != 0 {
		t.Fatalf("after wipe and start: %v, %v", got, err)
	}
}

func TestPausedMemberDoesNotAnswerUntilResumed(t *testing.T) {
	c := testetcd.Start(t)
	cli := connect(t, c.Endpoints()...)
	if _, err := cli.Put(within(t, 10*time.Second), "a", "1"); err != nil {
		t.Fatal(err)
	}
	c.Pause(0)
	if got, err := cli.Get(within(t, 200*time.Millisecond), "a"); err == nil {
		t.Fatalf("a frozen etcd answered %v", got)
	}
	c.Resume(0)
	if _, err := cli.Get(within(t, 10*time.Second), "a"); err != nil {
		t.Fatal(err)
	}
}

func TestThreeMembersGoOnWithoutOne(t *testing.T) {
	c := testetcd.Start(t, 3)
	c.Kill(0)
	cli := connect(t, c.Endpoints()[1:]...)
	ctx := within(t, 20*time.Second)
	for {
		if _, err := cli.Put(ctx, "a", "1"); err == nil {
			return
		} else if ctx.Err() != nil {
			t.Fatalf("two of three members: %v", err)
		}
	}
}

func TestAllMembersComeBackWithTheirData(t *testing.T) {
	c := testetcd.Start(t, 3)
	cli := connect(t, c.Endpoints()...)
	if _, err := cli.Put(within(t, 10*time.Second), "a", "1"); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		c.Kill(i)
	}
	c.StartAll()
	got, err := cli.Get(within(t, 20*time.Second), "a")
	if err != nil || len(got.Kvs) != 1 {
		t.Fatalf("after all were killed and started: %v, %v", got, err)
	}
}
