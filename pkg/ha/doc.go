// Package ha holds every rule of high availability, as one pure function: an Observation goes in, a
// Decision comes out. No input or output, no clock, no chance, no goroutine, no state: the agent, the
// simulator, hathi explain and the tests call the same Decide and get the same answer.
package ha
