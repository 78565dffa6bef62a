// Package haproxy lets HAProxy, pgbouncer and libpq find the members of a cluster through a switchover.
package haproxy
