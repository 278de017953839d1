// Package quorumtest is the contract of quorum.Store as tests; every implementation passes Run.
// Tests of quorum and of its other implementations call it; it calls quorum and metadata.
//
// What holds: the laws of quorum's doc.go (QUO-1, QUO-2, QUO-3), asked from outside.
//
// How it is tested: it is the test.
package quorumtest
