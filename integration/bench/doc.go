// Package bench measures how long clients wait when something happens to a cluster of real processes. Its tests are
// built only with the tag bench: make bench.
package bench
