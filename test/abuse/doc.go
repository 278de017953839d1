// Package abuse treats the real binary badly and checks that it lives, that others are served meanwhile, and that nothing it acknowledged
// is lost: bytes that are no requests, requests that lie, floods of connections, clients that stall, full disks, too much of everything.
// The plain tests need nothing but Go and take a few seconds; RAFKA_LONG=1 (make abuse) runs the long forms. What needs root (file systems
// of a given size) says so and is skipped without.
package abuse
