package cluster

import "time"

// FailsafeQuestion is what a primary without etcd asks the other members: may it go on? Source:
// rest-api.md 14.
type FailsafeQuestion struct {
	Name    string // of the primary
	ConnURL string
	APIURL  string
	Slots   map[string]LSN // its replication slots; may be nil
	// TTL is for how long the answer is to hold; zero from a Patroni, which means the receiver's own ttl.
	TTL time.Duration
}

// FailsafeAnswer is what a member answered.
type FailsafeAnswer struct {
	Name     string
	Accepted bool
	// Refused: the member has answered, and not with yes. With neither, it gave no answer in time.
	Refused bool
	LSN     LSN    // the member's position; zero if it did not tell
	Error   string // why it was not accepted
}
