// Package wires is a network of hosts on one machine whose wires a test may cut, slow down and make unreliable: each host is a network namespace
// of Linux, and the test process carries every packet from one to the other.
//
// The chaos tests call it; it calls nothing of the project. A host has one interface, a TUN device whose other end is a file descriptor of this
// process. What the hosts send is read there, looked at by the rules of the pair (from, to), and written to the device of the receiver, at once or
// later. Namespaces, devices and routes have no names outside: they end with the process, however it ends.
//
// It needs Linux, root (or CAP_NET_ADMIN and CAP_SYS_ADMIN) and /dev/net/tun; New skips the test, and says what is missing, where one is not there.
//
// # What holds
//
//	WIR-1  A packet from a host to another one arrives as it was sent, in order, unless a rule of that pair says otherwise.
//	WIR-2  A rule holds for one direction of one pair. Cut: nothing arrives, and nobody is told.
//	WIR-3  What was sent before a cut and is still on its way is lost with it.
//	WIR-4  Packets that wait are bounded (maxWaiting); what is more is lost, as in a switch.
//
// # How it is tested
//
// TCP and UDP between two hosts under each rule.
package wires
