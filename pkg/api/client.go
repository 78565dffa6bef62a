package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/keypair"
	"github.com/hathi-ha/hathi/pkg/peer"
)

const (
	// askTimeout bounds a round of questions. Source: Patroni 4.1, api.py and ha.py, timeout of 2 seconds.
	askTimeout      = 2 * time.Second
	livenessTimeout = 3 * time.Second
	// clientIdle is shorter than the servers' idle timeout; see there.
	clientIdle  = 60 * time.Second
	answerLimit = 1 << 20 // bytes of an answer that are read
)

// ClientOptions are how a node presents itself to the others, and how it knows them.
type ClientOptions struct {
	// Username and Password are sent with every request; an empty name sends none.
	Username, Password string
	// CertFile and KeyFile are the client certificate. Without it servers are not verified at all; with it
	// their chain is, but not their name. Source: Patroni 4.1, request.py.
	CertFile, KeyFile string
	KeyPassword       string // for an encrypted key
	// CAFile verifies the servers; empty means the system's authorities.
	CAFile  string
	Version string // hathi's own, for the User-Agent
}

// Client asks other members. It is safe for concurrent use, and keeps connections open between rounds.
type Client struct{ now atomic.Pointer[caller] }

// caller is what requests are made with until the options change.
type caller struct {
	o    ClientOptions
	http http.Client
}

// NewClient makes a client; an error names the certificate file that can't be used.
func NewClient(o ClientOptions) (*Client, error) {
	c := &Client{}
	return c, c.Configure(o)
}

// Configure takes over new options, and reads the certificates anew; with an error all stays as it was. Requests under
// way are not disturbed.
func (c *Client) Configure(o ClientOptions) error {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} // see ClientOptions.CertFile
	if o.CertFile != "" {
		cert, err := keypair.Load(o.CertFile, o.KeyFile, o.KeyPassword)
		if err != nil {
			return err
		}
		config.Certificates = []tls.Certificate{cert}
		config.VerifyConnection = keypair.VerifyChain(nil)
		if o.CAFile != "" {
			pool, err := loadPool(o.CAFile)
			if err != nil {
				return err
			}
			config.VerifyConnection = keypair.VerifyChain(pool)
		}
	}
	before := c.now.Swap(&caller{o: o, http: http.Client{Transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: askTimeout}).DialContext,
		TLSClientConfig:     config,
		TLSHandshakeTimeout: askTimeout,
		MaxIdleConnsPerHost: 1,
		IdleConnTimeout:     clientIdle,
		DisableCompression:  true,
	}}})
	if before != nil {
		before.http.CloseIdleConnections()
	}
	return nil
}

// Ask asks all the given members for their state at once and gives an answer for each, in their order,
// within two seconds.
func (c *Client) Ask(ctx context.Context, members []cluster.Member) []cluster.PeerStatus {
	ctx, cancel := context.WithTimeoutCause(ctx, askTimeout, fmt.Errorf("no answer within %s", askTimeout))
	defer cancel()
	answers := make([]cluster.PeerStatus, len(members))
	var all sync.WaitGroup
	for i, m := range members {
		all.Go(func() {
			status, err := c.ask(ctx, m)
			if err != nil {
				status.Error = err.Error()
			}
			status.Name = m.Name
			answers[i] = status
		})
	}
	all.Wait()
	return answers
}

// ask reads one member's status document, whatever the HTTP status.
func (c *Client) ask(ctx context.Context, m cluster.Member) (cluster.PeerStatus, error) {
	var s cluster.PeerStatus
	if m.APIURL == "" {
		return s, errors.New("the member has no api_url")
	}
	raw, err := c.get(ctx, m.APIURL)
	if err != nil {
		return s, err
	}
	if s, err = peer.Parse(raw); err != nil {
		return s, fmt.Errorf("GET %s: %w", m.APIURL, err)
	}
	return s, nil
}

// Liveness reports whether anything answers HTTP where the member says its REST API is. A node that starts
// and finds its own name registered must not run beside another of that name.
func (c *Client) Liveness(ctx context.Context, m cluster.Member) bool {
	ctx, cancel := context.WithTimeout(ctx, livenessTimeout)
	defer cancel()
	_, err := c.get(ctx, strings.TrimSuffix(m.APIURL, "/patroni")+"/liveness")
	return err == nil
}

// get reads the body of an answer, whatever its status.
func (c *Client) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", url, err)
	}
	resp, err := c.send(req)
	if err != nil {
		return nil, err // names method and URL already
	}
	defer func() { _ = resp.Body.Close() }() // nothing can be lost by it: the answer was read
	raw, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return nil, fmt.Errorf("GET %s: read answer: %w", url, err)
	}
	return raw, nil
}

// send sends a request as a member does.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	now := c.now.Load()
	req.Header.Set("User-Agent", "Patroni/"+cluster.PatroniVersion+" hathi/"+now.o.Version)
	if now.o.Username != "" {
		req.SetBasicAuth(now.o.Username, now.o.Password)
	}
	return now.http.Do(req)
}
