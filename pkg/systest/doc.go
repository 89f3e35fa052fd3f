// Package systest runs the real programs against each other, as processes over
// real TLS on loopback.
package systest
