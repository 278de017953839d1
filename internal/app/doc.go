// Package app wires the broker: it opens what a configuration names, in one fixed order, and closes it in the reverse. The program and the
// embeddable server call it; it calls everything below, and nothing calls back.
//
// What holds:
//
//	APP-1  Components start in list order and stop in reverse: metadata store, engine, partitions, controller, broker, doors.
//	APP-2  Ready means: first image applied, logs open, doors accepting.
//	APP-3  A stop drains: no new connections, then requests in flight are answered, then logs are closed with the clean marker.
//
// How it is tested: by the embeddable server's and rafkatest's tests, and on the real binary in test/.
package app
