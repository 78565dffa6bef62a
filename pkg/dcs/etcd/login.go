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
	mu                 sync.Mutex
	username, password string
	token              string
	logged             bool // there was a login; the token is empty if etcd runs without authentication
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

// forget makes the next request log in anew.
func (l *login) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.token, l.logged = "", false
}

// user gives who logs in; an empty name is nobody.
func (l *login) user() (name, password string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.username, l.password
}

// become logs another user in with the next request; the same one stays logged in.
func (l *login) become(username, password string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.username == username && l.password == password {
		return
	}
	l.username, l.password, l.token, l.logged = username, password, "", false
}

// needed reports whether there is a user who has not logged in yet.
func (l *login) needed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.username != "" && !l.logged
}

// renew logs in within one attempt. A user who was replaced meanwhile has to log in with the next one.
func (l *login) renew(ctx context.Context, auth pb.AuthClient, a *attempt) error {
	name, password := l.user()
	resp, err := auth.Authenticate(ctx, &pb.AuthenticateRequest{Name: name, Password: password}, a.unary()...)
	err = rpctypes.Error(err)
	token := ""
	switch {
	case err == nil:
		token = resp.Token
	case errors.Is(err, rpctypes.ErrAuthNotEnabled):
	case errors.Is(err, rpctypes.ErrAuthFailed):
		return fmt.Errorf("log in to etcd as %q: %w: %w", name, ErrAuthentication, err)
	default:
		return fmt.Errorf("log in to etcd as %q: %w", name, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.username == name && l.password == password {
		l.token, l.logged = token, true
	}
	return nil
}
