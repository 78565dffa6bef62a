// Package sim runs whole clusters in virtual time: the agents that ship, over a simulated etcd, simulated
// PostgreSQL servers, guards, a network and clocks that are all a little wrong. One seed decides every delay
// and every fault, so a run can be repeated to the letter. After each event the promises of hathi are
// checked; when the faults have healed, the cluster must have come back. Tests plant mistakes and demand
// that they are found.
//
// No process is started, no socket opened and no real clock read.
package sim
