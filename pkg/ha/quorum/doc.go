// Package quorum moves a cluster from one synchronous setting to another, one step at a time, so that at
// every moment, a crash between two steps included, whoever the /sync key lets be promoted has every commit
// that was acknowledged.
//
// Two things change in turn. The names, synchronous_standby_names on the primary, say who has to have a
// commit before it is acknowledged: Required of Standbys. The key, /sync, says who may be promoted: a voter,
// or the primary itself, that finds Quorum further members of the key which are not ahead of it.
//
// The argument. An acknowledged commit is on the primary and on at least Required of Standbys. A winner and
// those that let it win are at least Quorum+1 of the voters and the primary. If the two sets can't be apart,
// some member of both has the commit, is not ahead of the winner, and so the winner has it too. Safe is that
// condition; plain synchronous mode is the case in which Quorum is zero and all of Standbys are required.
//
// Commits that were acknowledged before the present names came into force may be on other members. That is
// what confirmed is for: a standby is confirmed when it has flushed everything the primary had flushed when
// the names had come into force. The key is made weaker only as far as confirmed standbys carry it, and
// everything else that is done to it makes it stronger.
package quorum
