// Package agent is the loop of one node: observe, let package ha decide, act. All effects are behind the
// interfaces in edges.go.
package agent
