// Package etcd keeps a cluster's state in etcd v3, in Patroni's layout.
//
// A Client is a connection: it serves the commands, which read once and write once. A Session is an
// agent's stake in one cluster on top of a Client: one lease, one watched copy of the keys, and the writes
// that are guarded by what the copy or the leader key says. Session implements dcs.Store.
//
// Every request is one call of the protocol with a deadline of its own; a logical operation is a row of
// such attempts, each at the next endpoint, under one deadline that nothing prolongs. What became of an
// operation is told by the sentinels of package dcs. The client library's own retries are off, because
// they don't tell an attempt that was never sent from one that may have been applied.
package etcd
