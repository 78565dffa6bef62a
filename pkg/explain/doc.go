// Package explain answers what a cluster would do, and why: what each member decides now, who would lead if
// the leader died this second, and what keeps a switchover from happening. Each answer comes from ha.Decide, asked
// with what the members themselves observe; where something is supposed, the observation is changed and nothing else.
//
// It is pure: the members' statements go in, a report comes out.
package explain
