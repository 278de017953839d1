// Package isr is what the leader of a partition knows of its followers: how far each has the log, which of them are in sync, and up to where
// everything is committed. partition keeps one Leader for each partition that it leads together with followers; it calls nothing.
//
// It is pure: the time and the ends of the log come with each call, and the caller's lock guards it. A leader costs some 100 bytes and as many for
// each follower.
//
// The maximal ISR is the committed one, which the metadata have, together with who is about to join by a proposal that is under way. A follower that
// is about to leave is in it until the metadata say that it has left.
//
// What holds:
//
//	ISR-1  The high watermark never falls within an epoch and never passes what the leader itself has durable.
//	ISR-2  It is never higher than the smallest log end over the maximal ISR. A follower that was not heard of in this epoch holds it where it is.
//	ISR-3  A replica is proposed to join only when its log end is at or above the high watermark and the start of the leader's epoch.
//	ISR-4  At most one proposal is under way. It ends by a definite refusal, or by metadata that are newer than those it was based on; one whose
//	       outcome is not known is made again, unchanged.
//	ISR-5  While the committed ISR is smaller than min.insync.replicas the high watermark does not move (KIP-966).
//
// Beyond these, the high watermark waits a little for a follower that is about to join (joinPatience): where records come in without a pause it would
// otherwise be ahead of each of that follower's fetches, and ISR-3 would keep it out for ever.
//
// A member leaves for what it lacks too long (Patience.Lag), or for lacking anything while its broker is silent (Patience.Silence): the second finds a link
// that is cut within seconds, where a follower that is only slow keeps its place.
//
// How it is tested: tables of single steps, and random histories of fetches, proposals, answers and metadata against an oracle that remembers
// everything (ISR-1..5); partition's model of a cluster runs it with real logs.
//
// Files: leader.go (the state, and what the metadata say), fetched.go (what followers say), watermark.go, propose.go.
package isr
