// Package cluster holds the words of the field: members, roles, log positions, timelines, the
// settings that a whole cluster shares, and the view of it that etcd gives. It is values only: no
// input or output, no clock, standard library alone, so that every other package can speak it.
package cluster
