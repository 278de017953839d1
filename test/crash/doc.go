// Package crash kills the real binary under load, again and again, and checks that nothing it had acknowledged is missing, doubled or out
// of order. It needs nothing but Go; RAFKA_CRASH_ROUNDS sets how many kills there are: one or two by default, 40 by make crash, 8 by script/ci.
package crash
