package share

import (
	"fmt"

	"github.com/rafka-io/rafka/internal/kafka"
)

// RecordState is Kafka's state of a record, with Kafka's number.
//
//	           Acquire              accept, durable
//	Available ---------> Acquired ------------------> Acknowledged
//	    ^                   |  \        reject, gap, DeliveryLimit reached
//	    +-------------------+   +-----> Archiving ----------> Archived
//	  release, durable; lock ended,     (with a dead-letter      DeadLettered
//	  member left                        topic, else at once)
//
// A record that the log no longer has (TrimTo), or that is none (Batch.IsGone), is Archived from any state.
type RecordState int8

const (
	Available    RecordState = 0
	Acquired     RecordState = 1 // never written
	Acknowledged RecordState = 2
	Archiving    RecordState = 3 // on its way to the dead-letter topic
	Archived     RecordState = 4
)

// String is Kafka's word, in small letters.
func (s RecordState) String() string {
	switch s {
	case Available:
		return "available"
	case Acquired:
		return "acquired"
	case Acknowledged:
		return "acknowledged"
	case Archiving:
		return "archiving"
	case Archived:
		return "archived"
	}
	return fmt.Sprintf("state %d", int8(s))
}

// State is what survives a restart: the answer of ReadShareGroupState.
type State struct {
	StateEpoch  int32
	StartOffset kafka.Offset
	Batches     []StateBatch
}

// StateBatch is a stretch of offsets in one state. Last is included.
type StateBatch struct {
	First, Last kafka.Offset
	State       RecordState
	Count       int16 // deliveries so far
}

// check refuses what no write can have left behind.
func (st State) check() error {
	next := st.StartOffset
	if next < 0 {
		return fmt.Errorf("share state starts at offset %d: choose where the group begins first", next)
	}
	for _, b := range st.Batches {
		switch {
		case b.First < next:
			return fmt.Errorf("share state has a batch at offset %d where %d or more was due: batches below the start or overlapping", b.First, next)
		case b.Last < b.First || b.Last == 1<<63-1:
			return fmt.Errorf("share state has a batch from offset %d to %d", b.First, b.Last)
		case b.State == Acquired || b.State < Available || b.State > Archived:
			return fmt.Errorf("share state has offsets %d to %d in the unknown state %d", b.First, b.Last, b.State)
		case b.Count < 0:
			return fmt.Errorf("share state has offsets %d to %d delivered %d times", b.First, b.Last, b.Count)
		}
		next = b.Last + 1
	}
	return nil
}
