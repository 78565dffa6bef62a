// Package dcs is what every distributed configuration store has to offer to hathi: the paths of the keys,
// their encoding as Patroni reads and writes it, the kinds of failure, and the interface that both etcd
// and the simulator satisfy. It knows no etcd client.
package dcs
