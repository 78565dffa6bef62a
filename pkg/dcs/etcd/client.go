package etcd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/grpclog"

	"github.com/hathi-ha/hathi/pkg/dcs"
)

// gRPC writes to standard error through a logger of its own that is meant to be replaced before its first
// use; what it has to say is in the errors of the calls.
func init() {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
}

// Client is a connection to etcd. All methods are safe for concurrent use.
type Client struct {
	etcd  *clientv3.Client
	kv    pb.KVClient
	lease pb.LeaseClient
	watch pb.WatchClient
	peers pb.ClusterClient
	auth  pb.AuthClient

	login     *login
	namespace string
	budget    time.Duration

	mu    sync.Mutex
	o     Options
	given []string // endpoints as configured
	fixed bool
}

// What the connection is tuned for: an answer takes milliseconds, values have some kilobytes.
const (
	// The library pings a connection that is silent for this long, and it allows no less. It ends frozen
	// connections that nobody uses; one that is used is noticed by the deadline of the attempt.
	pingAfter = 10 * time.Second
	// A ping has to be answered, and sent data acknowledged (TCP_USER_TIMEOUT), within this.
	pingTimeout = 3 * time.Second
	// The kernel probes a silent connection: a cut one is found out within seconds, without a request.
	probeAfter, probeEvery, probeCount = 2 * time.Second, time.Second, 2

	bufferSize  = 4 << 10
	maxResponse = 64 << 20
)

// Open makes a client. It reads files and looks up SRV records as the options say, but does not yet speak
// to etcd; the first operation connects, and logs in if there is a user.
func Open(ctx context.Context, o Options) (*Client, error) {
	budget := o.Timeout
	if budget <= 0 {
		budget = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	a, err := o.address(ctx, net.DefaultResolver)
	if err != nil {
		return nil, err
	}
	c := &Client{
		login: &login{username: a.username, password: a.password}, o: o, given: a.endpoints, fixed: a.fixed,
		namespace: dcs.Namespace(o.Namespace), budget: budget,
	}
	cfg := clientv3.Config{
		Endpoints: a.endpoints, Logger: zap.NewNop(), MaxUnaryRetries: 1,
		DialKeepAliveTime: pingAfter, DialKeepAliveTimeout: pingTimeout, PermitWithoutStream: true,
		DialOptions: dialOptions(c.login),
	}
	if a.secure() {
		if cfg.TLS, err = o.tlsConfig(); err != nil {
			return nil, err
		}
	}
	if c.etcd, err = clientv3.New(cfg); err != nil {
		return nil, fmt.Errorf("etcd: make a client for %v: %w", a.endpoints, err)
	}
	conn := c.etcd.ActiveConnection()
	c.kv, c.lease, c.watch = pb.NewKVClient(conn), pb.NewLeaseClient(conn), pb.NewWatchClient(conn)
	c.peers, c.auth = pb.NewClusterClient(conn), pb.NewAuthClient(conn)
	return c, nil
}

func dialOptions(l *login) []grpc.DialOption {
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: probeAfter, Interval: probeEvery, Count: probeCount,
	}}
	return []grpc.DialOption{
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", addr)
		}),
		// An etcd that comes back is to be found at once and not after the library's two minutes.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: pingTimeout,
		}),
		grpc.WithPerRPCCredentials(l),
		grpc.WithReadBufferSize(bufferSize),
		grpc.WithWriteBufferSize(bufferSize),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxResponse)),
	}
}

// Endpoints gives the URLs that are in use: the configured ones and those of members found since.
func (c *Client) Endpoints() []string { return c.etcd.Endpoints() }

// Close ends the connection. Sessions on it must have been closed before.
func (c *Client) Close() error {
	if err := c.etcd.Close(); err != nil && c.etcd.Ctx().Err() == nil {
		return fmt.Errorf("etcd: close the connection: %w", err)
	}
	return nil
}

// discover asks for the members of etcd and adds them to the endpoints, unless the options forbid it.
func (c *Client) discover(ctx context.Context, l limits) error {
	given, fixed := c.configured()
	if fixed {
		return nil
	}
	var resp *pb.MemberListResponse
	err := c.call(ctx, l, "list the members of etcd", func(ctx context.Context, a *attempt) (err error) {
		resp, err = c.peers.MemberList(ctx, &pb.MemberListRequest{}, a.unary()...)
		return err
	})
	if err != nil {
		return err
	}
	var advertised []string
	for _, m := range resp.Members {
		if !m.IsLearner {
			advertised = append(advertised, m.ClientURLs...)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(given, c.given) {
		return nil // configured anew meanwhile
	}
	if merged := merge(given, advertised); !equalSet(merged, c.Endpoints()) {
		c.etcd.SetEndpoints(merged...)
	}
	return nil
}

func (c *Client) configured() (given []string, fixed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.given, c.fixed
}

// ErrNeedsNewClient refuses options that an open client can't take over.
var ErrNeedsNewClient = errors.New("the protocol (http or https) and the files of TLS of etcd can be changed by a restart of the agent only")

// Reconfigure takes over other endpoints and another user; requests under way keep what they have. The files of TLS are
// read anew for each connection in any case, but under the same names: others are ErrNeedsNewClient.
func (c *Client) Reconfigure(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, c.budget)
	defer cancel()
	a, err := o.address(ctx, net.DefaultResolver)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	secure := (&address{endpoints: c.given}).secure()
	if a.secure() != secure || secure && (o.CACert != c.o.CACert || o.Cert != c.o.Cert || o.Key != c.o.Key) {
		return ErrNeedsNewClient
	}
	c.login.become(a.username, a.password)
	if !equalSet(a.endpoints, c.given) || a.fixed != c.fixed {
		c.etcd.SetEndpoints(a.endpoints...)
	}
	c.o, c.given, c.fixed = o, a.endpoints, a.fixed
	return nil
}

func equalSet(a, b []string) bool {
	in := make(map[string]bool, len(a))
	for _, s := range a {
		in[s] = true
	}
	for _, s := range b {
		if !in[s] {
			return false
		}
	}
	return len(a) == len(b)
}
