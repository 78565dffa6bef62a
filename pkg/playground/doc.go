// Package playground runs a whole cluster on one machine for trying things out: an etcd inside this process
// and a few nodes as processes of their own, all on loopback and in one temporary directory, which goes away
// with them.
package playground
