// Package listen accepts connections within limits and hands each to the door that its first byte names.
// app makes it and gives it the doors; it calls nothing of ours.
//
// What holds:
//
//	LSN-1  The first byte of a connection decides: 0 is Kafka (the length of a frame below 16 MiB), a letter is the line protocol,
//	       anything else is closed. The door sees the byte.
//	LSN-2  There are never more connections than max.connections, and per address never more than max.connections.per.ip; at the
//	       limit a new one takes the place of the oldest that has not said anything for a second, or else is closed.
//	LSN-3  Running out of file descriptors stops nobody who is connected: accepting waits and tries again.
//	LSN-4  Shutdown stops accepting, lets doors finish what is in flight, and closes the rest at the deadline; no goroutine is left
//	       when it returns.
//
// Goroutines: one per listener, and one per connection, in which the door serves.
//
// How it is tested: loopback connections of all kinds against doors that echo; a listener that fails as one without descriptors does;
// virtual time for what waits.
package listen
