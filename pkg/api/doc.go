// Package api is the REST API of a node and the client with which nodes ask each other.
//
// The contract is that of Patroni 4.1: status codes and texts are kept to the letter, because load
// balancers, monitors and commands match on them. What the node knows it tells from the agent's newest
// Snapshot, so that no health check ever waits for PostgreSQL or etcd. What is asked of it (a switchover, a
// restart) runs to its end even if the client hangs up.
//
// The server speaks HTTP/1.0 and HTTP/1.1. It has no ServeMux: health checks arrive as //leader or
// /leader/, with and without a Host header, and all are answered in place.
package api
