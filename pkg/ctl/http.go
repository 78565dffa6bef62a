package ctl

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

const (
	dialTimeout = 3 * time.Second
	answerLimit = 1 << 20 // bytes of an answer that are read
)

// notSentError is a failure before a byte of the request left this process.
type notSentError struct{ err error }

func (e notSentError) Error() string { return e.err.Error() }
func (e notSentError) Unwrap() error { return e.err }

// NotSent marks err as the failure of a request that can't have had any effect.
func NotSent(err error) error { return notSentError{err} }

// WasNotSent reports whether err proves that the request did not reach the server. For any other failure
// the request may have been carried out.
func WasNotSent(err error) bool { return errors.As(err, &notSentError{}) }

// HTTP is the REST client of the commands. It is safe for concurrent use.
type HTTP struct {
	client             *http.Client
	username, password string
}

// NewHTTP makes a client; tlsConfig may be nil, an empty username sends no credentials.
func NewHTTP(tlsConfig *tls.Config, username, password string) *HTTP {
	return &HTTP{
		username: username, password: password,
		client: &http.Client{Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSHandshakeTimeout: dialTimeout,
			TLSClientConfig:     tlsConfig,
			DisableKeepAlives:   true, // a command makes few requests, to different members
		}},
	}
}

// Do sends one request. The context carries its deadline.
func (h *HTTP) Do(ctx context.Context, method, url string, body []byte) (Answer, error) {
	connected := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }})
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return Answer{}, NotSent(err)
	}
	req.Header.Set("User-Agent", "Patroni/"+cluster.PatroniVersion+" hathi")
	if h.username != "" {
		req.SetBasicAuth(h.username, h.password)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		if !connected {
			return Answer{}, NotSent(err)
		}
		return Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return Answer{}, fmt.Errorf("read answer of %s: %w", url, err)
	}
	return Answer{Status: resp.StatusCode, Body: string(text)}, nil
}

// endpoint gives the URL of an endpoint of the member whose api_url is given: its scheme and authority,
// and the path.
func endpoint(apiURL, path string) (string, error) {
	scheme, rest, ok := strings.Cut(apiURL, "://")
	authority, _, _ := strings.Cut(rest, "/")
	if !ok || authority == "" {
		return "", NotSent(fmt.Errorf("member has no usable api_url: %q", apiURL))
	}
	return scheme + "://" + authority + "/" + path, nil
}

// call sends one request to the endpoint of a member, bounded by limit.
func (c *Control) call(ctx context.Context, limit time.Duration, method, apiURL, path, body string) (Answer, error) {
	url, err := endpoint(apiURL, path)
	if err != nil {
		return Answer{}, err
	}
	if err := c.plan(method, url, body); err != nil {
		return Answer{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer from %s within %s", url, limit))
	defer cancel()
	return c.REST.Do(ctx, method, url, []byte(body))
}
