// Package postgres controls the one PostgreSQL server of this node: it starts the postmaster and waits for
// its end, adopts one that runs already, stops, promotes and re-points it, founds and copies data
// directories, repairs a diverged one, and observes the server in one round trip.
//
// The postmaster is started directly, without pg_ctl, in a session of its own; it outlives its agent, and
// the next agent finds it by postmaster.pid, its executable and its working directory. No server is ever
// started while a process of an earlier one is alive in the same data directory, and a database is never
// removed except by a Clone that may replace it, or by one that has failed half-way.
//
// Source: PostgreSQL 12 to 18; the behaviour that users see is Patroni 4.1's.
package postgres
