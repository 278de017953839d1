// Package porttest gives tests loopback ports that stay theirs: to start something again where it was, and to know that nobody listens.
//
// Tests of every package call it; it calls nothing of the project. A port that the system has chosen (":0") goes to somebody else as soon as it
// is closed: on a busy machine a test that closes one and counts on it fails now and then.
//
// # What holds
//
//	PRT-1  Until the end of the test to which it was given, a port is given to nobody else who asks this package, in whatever process of the
//	       machine, and the system gives it to nobody who wants any port.
//
// # How it is tested
//
// By itself: porttest_test.go.
package porttest
