package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hathi-ha/hathi/pkg/dcs"
)

// ErrAuthentication says that etcd does not accept the user and password. It comes together with
// dcs.ErrRefused; trying again does not help.
var ErrAuthentication = errors.New("etcd does not accept the user name and password")

// callError is an operation that failed.
type callError struct {
	what      string
	endpoints []string
	kind      error // one of the sentinels of package dcs
	cause     error // of the last attempt
	spent     time.Duration
}

func (e *callError) Error() string {
	text := fmt.Sprintf("%s (etcd at %s): %s", e.what, strings.Join(e.endpoints, ", "), e.reason())
	if errors.Is(e.kind, dcs.ErrMaybe) {
		text += "; the request may have been applied"
	}
	return text
}

func (e *callError) Unwrap() []error { return []error{e.kind, e.cause} }

// reason puts what gRPC says into what a person wants to know.
func (e *callError) reason() string {
	if errors.Is(e.cause, rpctypes.ErrNoSpace) {
		return "its database is full (alarm NOSPACE), so it takes no writes until somebody compacts and defragments it, or raises " +
			"--quota-backend-bytes, and runs etcdctl alarm disarm"
	}
	text := e.cause.Error()
	if s, ok := status.FromError(e.cause); ok {
		text = s.Message()
	}
	// The innermost cause of a failed connection is what the system said of it.
	for _, mark := range []string{"dial tcp ", "authentication handshake failed: "} {
		if i := strings.LastIndex(text, mark); i >= 0 {
			return strings.TrimRight(text[i:], `"`)
		}
	}
	if errors.Is(e.cause, context.DeadlineExceeded) || code(e.cause) == codes.DeadlineExceeded {
		return fmt.Sprintf("no answer within %v", e.spent.Round(time.Millisecond))
	}
	return strings.TrimPrefix(text, "etcdserver: ")
}

// classify tells what can have become of an attempt that ended with err. sent is whether it got as far as
// a connection.
func classify(err error, sent bool) error {
	if !sent {
		return dcs.ErrNotSent
	}
	switch code(err) {
	case codes.NotFound, codes.InvalidArgument, codes.FailedPrecondition, codes.PermissionDenied, codes.AlreadyExists,
		codes.Unauthenticated, codes.OutOfRange, codes.ResourceExhausted, codes.Unimplemented:
		return dcs.ErrRefused
	}
	// Unavailable among them: etcd says so of requests it proposed and did not see applied in time.
	return dcs.ErrMaybe
}

// code gives the code of the protocol, also of an error that the library has translated.
func code(err error) codes.Code {
	var known rpctypes.EtcdError
	if errors.As(err, &known) {
		return known.Code()
	}
	return status.Code(err)
}

// isLeaseLost reports whether etcd does not know the lease any more.
func isLeaseLost(err error) bool { return errors.Is(err, rpctypes.ErrLeaseNotFound) }

// tokenRefused reports whether a new login may help.
func tokenRefused(err error) bool {
	return errors.Is(err, rpctypes.ErrUserEmpty) || errors.Is(err, rpctypes.ErrInvalidAuthToken) ||
		errors.Is(err, rpctypes.ErrAuthOldRevision)
}
