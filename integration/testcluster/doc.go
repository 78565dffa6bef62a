// Package testcluster gives tests a real cluster: an etcd process and nodes that are started with hathi run,
// each with its PostgreSQL, on loopback ports and in directories of their own. Every process can be killed
// and frozen by its id; whatever is left of a cluster ends with the test, also after a failure.
//
// Started by root, the nodes run as the user postgres, because PostgreSQL does not run as root.
package testcluster
