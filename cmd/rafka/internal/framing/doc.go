// Package framing cuts a byte stream into records at a delimiter.
// It is called by produce and cat; it calls nothing of ours.
//
// What holds:
//
//	FRM-1  Joining the records with the delimiter gives back the stream; a delimiter at the very end adds no empty record.
//	FRM-2  Memory is bounded: a record longer than the limit is an error that names its number.
//
// How it is tested: tables, and a fuzz target against bytes.Split.
package framing
