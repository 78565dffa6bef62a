package ha

// Reason is one fact that led to a decision. Text is complete English without the name of the member it
// is about; log lines that users of Patroni grep for keep that wording to the letter.
type Reason struct {
	// Rule names the rule that gave the reason, for explain, coverage and tests.
	Rule string
	Text string
}
