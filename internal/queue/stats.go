package queue

import "sync/atomic"

// Stats are the counters of a Manager since it was made. In-flight records and sessions are in Gauges.
type Stats struct {
	ShareFetches      atomic.Int64 // ShareFetch requests
	ShareAcknowledges atomic.Int64 // ShareAcknowledge requests, and ShareFetch requests that acknowledge
	Acquired          atomic.Int64 // records given to a member
	Accepted          atomic.Int64 // records acknowledged as dealt with
	Released          atomic.Int64 // records acknowledged as to be delivered again
	Rejected          atomic.Int64 // records acknowledged as not to be delivered again
	Renewed           atomic.Int64 // records whose lock was renewed
	Expired           atomic.Int64 // records whose lock ran out
	Done              atomic.Int64 // records that are not delivered any more, durably: accepted, archived, or gone from the log
	StateWrites       atomic.Int64 // writes to the share coordinator
	StateFailures     atomic.Int64 // of them those that failed
	DeadLetters       atomic.Int64 // records written to a dead-letter topic
	DeadLetterRetries atomic.Int64 // writes to a dead-letter topic that failed and are tried again
	DeadLetterLost    atomic.Int64 // records that were archived without: the topic may not be written to as things are configured
	SessionsRefused   atomic.Int64 // because of group.share.max.share.sessions
	SessionsCut       atomic.Int64 // ended because their connection was
}

// Archived counts the records that are delivered no more without having been accepted: rejected, delivered too often, of aborted transactions, or
// gone from the log.
func (s *Stats) Archived() int64 { return max(s.Done.Load()-s.Accepted.Load(), 0) }

// Gauges are sizes of this moment.
type Gauges struct {
	Sessions        int
	SharePartitions int
	InFlight        int // records that a member holds
	Waiting         int // ShareFetch requests that wait
}
