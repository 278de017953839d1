// Package archtest holds the module to its architecture: who may import whom, which packages stay pure, who touches files.
// Nothing imports it; it has only tests, which parse the sources of the whole module without building them.
//
// What holds:
//
//	ARC-1  A package imports only packages of lower layers (layers_test.go), or packages below itself in the tree.
//	ARC-2  What lives outside the broker (client, streams, connect, api, hooks, console, examples) imports nothing of internal
//	       beyond kafka, record and wire.
//	ARC-3  Pure packages read no clock, roll no dice, start no goroutine and use neither os nor net.
//	ARC-4  Only internal/vfs touches files in internal; the exceptions are listed with their reasons.
//	ARC-5  Only internal/app and tests name a concrete storage engine.
//	ARC-6  Every package has a doc.go whose first sentence says what it is.
//	ARC-7  Every numbered invariant of a doc.go is cited by at least one test.
//	ARC-8  Packages made for tests (brokertest, logtest) are imported by tests only.
//
// How it is tested: every rule also runs over a small tree in memory that breaks it, so a rule that went blind is noticed.
package archtest
