package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Limits of a connection. A request is small and an answer is ready at once; requests that wait for the
// cluster have a deadline of their own.
const (
	headTimeout  = 10 * time.Second
	readTimeout  = 15 * time.Second
	writeTimeout = 10 * time.Second
	// idleTimeout is longer than that of the client in this package, so that the client closes first and
	// never sends into a connection that is being closed.
	idleTimeout = 75 * time.Second
	// maxOperations is how many requests may wait for the cluster at a time.
	maxOperations = 32
)

// Peers asks other members for their state; *Client does.
type Peers interface {
	Ask(ctx context.Context, members []cluster.Member) []cluster.PeerStatus
}

// Options are what a server is made of. All are required.
type Options struct {
	Node    Node
	Store   Store
	Peers   Peers
	Clock   clock.Clock
	Log     *slog.Logger
	Version string // hathi's own
	// MergePatch merges the body of PATCH /config into the stored document and keeps the order of names.
	MergePatch func(stored, patch []byte) (merged []byte, changed bool, err error)
	// Validate refuses a configuration that the members would not accept.
	Validate func(raw []byte) error
	// CheckFiles says what is wrong with the files that a reload would read; nil if there are none.
	CheckFiles func() error
	// Counts are further metrics; nil if there are none.
	Counts prometheus.Collector
}

// Settings are what a reload may change.
type Settings struct {
	Username, Password string // of basic authentication; an empty name switches it off
	// Allowlist are networks, addresses and host names that may change things; empty allows all.
	Allowlist []string
	// AllowMembers adds the members' addresses, from their api_url, to the allowlist.
	AllowMembers bool
	// Headers are added to every answer with a body.
	Headers map[string]string
	// ServerTokens is original, minimal or productonly in any case; anything else means original.
	ServerTokens string
	// TLS without a CertFile is plain HTTP.
	TLS TLS

	nets []network
	tls  *tls.Config
}

// Server answers the REST API. It is safe for concurrent use.
type Server struct {
	o          Options
	settings   atomic.Pointer[Settings]
	operations chan struct{}
}

// New makes a server. It answers nothing before Serve.
func New(o Options, s Settings) (*Server, error) {
	server := &Server{o: o, operations: make(chan struct{}, maxOperations)}
	return server, server.Configure(context.Background(), s)
}

// Configure takes over new settings; with an error the old ones stay. Certificates are read anew, and used
// from the next handshake on.
func (s *Server) Configure(ctx context.Context, settings Settings) error {
	config, err := settings.TLS.server(s.o.Log)
	if err != nil {
		return err
	}
	settings.tls = config
	settings.nets = s.resolve(ctx, settings.Allowlist)
	s.settings.Store(&settings)
	return nil
}

// Serve answers on the listener until ctx ends, and then closes it and all connections. It returns nil
// after that.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	s.warnIfOpen(l)
	open := newConns(maxConns)
	server := http.Server{
		Handler:                      s,
		ReadHeaderTimeout:            headTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHead,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
		ConnState:                    open.note,
		ConnContext:                  withConn,
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	secure := func() bool { return s.settings.Load().tls != nil }
	entry := &gate{Listener: l, open: open, secure: secure, patience: patience, seen: make([]byte, 4096)}
	err := server.Serve(hostListener{tlsListener{entry, s}})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the REST API on %s: %w", l.Addr(), err)
}

// tlsListener speaks TLS, with the certificate of the moment, or not, as the settings say when a connection comes.
type tlsListener struct {
	net.Listener
	server *Server
}

// Accept gives the next connection.
func (l tlsListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if config := l.server.settings.Load().tls; config != nil {
		return tls.Server(c, config), nil
	}
	return c, nil
}

// warnIfOpen says what an open API means: whoever reaches it can run commands through the configuration of
// PostgreSQL.
func (s *Server) warnIfOpen(l net.Listener) {
	c := s.settings.Load()
	if c.Username != "" || len(c.nets) > 0 || c.AllowMembers || c.TLS.verifies() {
		return
	}
	if a, ok := l.Addr().(*net.TCPAddr); ok && a.IP.IsLoopback() {
		return
	}
	s.o.Log.Warn("anybody who reaches the REST API can change the configuration and switch over; "+
		"set restapi.authentication, restapi.allowlist or restapi.verify_client", "address", l.Addr().String())
}

type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// clientCertificate reports whether the request came with a certificate; one that is not trusted has
// already ended the handshake. net/http fills Request.TLS for bare *tls.Conn only.
func clientCertificate(r *http.Request) bool {
	c, ok := r.Context().Value(connKey{}).(*hostConn)
	if !ok {
		return false
	}
	t, ok := c.Conn.(*tls.Conn)
	return ok && len(t.ConnectionState().PeerCertificates) > 0
}
