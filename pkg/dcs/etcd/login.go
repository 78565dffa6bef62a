package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// login adds the token of a user to each request. It logs in only when a request needs it, so that opening
// a client costs nothing and an etcd that forgot the token (a restart) is served a new one. The library's
// own way logs in once more for each stream, which would double the requests of an agent at rest.
type login struct {
	username, password string

	mu     sync.Mutex
	token  string
	logged bool // there was a login; the token is empty if etcd runs without authentication
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (l *login) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if token, _ := l.current(); token != "" {
		return map[string]string{rpctypes.TokenFieldNameGRPC: token}, nil
	}
	return nil, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials: etcd's users may come without TLS.
func (l *login) RequireTransportSecurity() bool { return false }

func (l *login) current() (token string, logged bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.token, l.logged
}

func (l *login) set(token string, logged bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.token, l.logged = token, logged
}

// needed reports whether there is a user who has not logged in yet.
func (l *login) needed() bool {
	_, logged := l.current()
	return l.username != "" && !logged
}

// renew logs in within one attempt.
func (l *login) renew(ctx context.Context, auth pb.AuthClient, a *attempt) error {
	resp, err := auth.Authenticate(ctx, &pb.AuthenticateRequest{Name: l.username, Password: l.password}, a.unary()...)
	err = rpctypes.Error(err)
	switch {
	case err == nil:
		l.set(resp.Token, true)
	case errors.Is(err, rpctypes.ErrAuthNotEnabled):
		l.set("", true)
	case errors.Is(err, rpctypes.ErrAuthFailed):
		return fmt.Errorf("log in to etcd as %q: %w: %w", l.username, ErrAuthentication, err)
	default:
		return fmt.Errorf("log in to etcd as %q: %w", l.username, err)
	}
	return nil
}
