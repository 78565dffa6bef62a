// Package guard is the fence of a node. hathi run starts as the guard: the smallest process of the node is
// the parent of the others. It starts the agent, starts it again when it dies, reaps orphans, and knows one
// thing about the cluster: the moment from which the leader key may be somebody else's. If the agent has not
// moved that moment on in time, the guard stops PostgreSQL before it comes. See DESIGN.md.
package guard
