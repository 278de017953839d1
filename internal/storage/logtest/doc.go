// Package logtest is the conformance suite of storage engines: what package storage promises, as tests.
// Engines call it from their tests; it calls the engine through package storage only, and vfs for crashes.
//
// It checks STO-1 to STO-7. What package storage leaves open is settled here:
//
//   - TruncateTo(end) drops every batch that has an offset at or above end. The new log end lies between the last kept offset + 1 (or the
//     log start if nothing is left) and end: it is the former unless the offsets have a gap there. A target at or above the log end
//     changes nothing. A target that would cut below the log start is left open.
//   - TrimTo above the log end is kafka.OffsetOutOfRange; at or below the log start it changes nothing.
//   - OffsetForTime answers the first batch, by offset, that reaches above the log start and whose max timestamp is at least ts.
//     MaxTimestamp answers the first of those with the largest.
//   - Append of bytes that are not whole batches, or that do not continue the log, is an error and changes nothing.
//   - Sidecar.Delete of an absent blob is no error.
//   - A log that was closed can be opened again in the same engine.
//
// How it is tested: the in-memory engine and the segment log both pass it; model.go is the oracle, a slice of batches.
//
// Files: run.go the list of claims, with a file for each subject (append, read, truncate, trim, time, sidecar, durable, segments, engine,
// readers) · metamorphic.go random operations over several engines · crash.go, witness.go and fault.go over vfs.Mem · batch.go and model.go their
// material.
package logtest
