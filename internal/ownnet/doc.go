// Package ownnet gives tests a network of their own, on Linux and as root: what they send
// meets nobody else, and what others send does not meet them.
package ownnet
