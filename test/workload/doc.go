// Package workload is what clients do while a broker or a cluster is harmed, and what must hold afterwards.
//
// test/crash and test/chaos call it; it calls nothing of the project. A World has an idempotent producer, transactional pipelines that read what it
// wrote, groups of both protocols whose members come, commit and go, and a share group that takes from a queue ordered by key. Each notes what it
// was told and sent.
//
// # What holds
//
// At the end of World.Run, and once more after a restart, the test has failed unless:
//
//	WRK-1  Every record that was acknowledged stands at its offset, once, in the order in which it was sent, and offsets have no holes but
//	       those of markers.
//	WRK-2  What pipelines committed is in their output once, and nothing that they aborted is.
//	WRK-3  No partition had two owners in a group at a time, and no committed offset went back.
//	WRK-4  Every queued record was delivered until it was accepted and not after; on one broker never two of one key at a time.
//
// # How it is tested
//
// It is a test; that it finds what it looks for was tried by breaking the broker on purpose.
package workload
