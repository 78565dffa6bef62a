// Package metrics counts what an agent does, for Prometheus: its decisions, how long its turns take, and how long
// the cluster was without a primary before this member became one.
package metrics
