package partition

import "github.com/rafka-io/rafka/internal/kafka"

// EpochEnd is a leader epoch and the offset after its last record.
type EpochEnd struct {
	Epoch kafka.LeaderEpoch
	End   kafka.Offset
}

// unknownEnd answers for an epoch of which nothing is known.
var unknownEnd = EpochEnd{Epoch: kafka.NoEpoch, End: kafka.NoOffset}

// epochs says at which offset each leader epoch began: both rise from entry to entry. A value never changes; the functions below
// return a new one, so that readers need no lock.
type epochs []epochStart

type epochStart struct {
	epoch kafka.LeaderEpoch
	start kafka.Offset
}

func (e epochs) latest() kafka.LeaderEpoch {
	if len(e) == 0 {
		return kafka.NoEpoch
	}
	return e[len(e)-1].epoch
}

// assign notes that epoch writes from start on. Epochs that began at or after start have nothing left in the log and go.
func (e epochs) assign(epoch kafka.LeaderEpoch, start kafka.Offset) epochs {
	if epoch <= e.latest() {
		return e
	}
	next := e.truncate(start)
	return append(next[:len(next):len(next)], epochStart{epoch, start})
}

// truncate forgets the epochs that began at or after end.
func (e epochs) truncate(end kafka.Offset) epochs {
	n := len(e)
	for n > 0 && e[n-1].start >= end {
		n--
	}
	return e[:n:n]
}

// trim forgets the epochs that ended before start. The first one that is left keeps its beginning, and one that ended at start is left: a follower that
// has records of an older epoch up to start has others than were deleted here, and must be told so.
// Example: [1@0 2@10 3@20] trimmed to 12 is [2@10 3@20].
func (e epochs) trim(start kafka.Offset) epochs {
	first := 0
	for first+1 < len(e) && e[first+1].start < start {
		first++
	}
	return e[first:]
}

// at is the epoch that wrote offset, NoEpoch if that is not known.
func (e epochs) at(offset kafka.Offset) kafka.LeaderEpoch {
	for i := len(e) - 1; i >= 0; i-- {
		if e[i].start <= offset {
			return e[i].epoch
		}
	}
	return kafka.NoEpoch
}

// end answers OffsetForLeaderEpoch as Kafka does: the largest known epoch up to the one asked for, and where it ended. The epoch
// asked for itself if it is older than everything known (it ended where the first known one begins), and unknownEnd if it is newer.
func (e epochs) end(asked kafka.LeaderEpoch, logEnd kafka.Offset) EpochEnd {
	if asked < 0 || asked > e.latest() {
		return unknownEnd
	}
	if asked == e.latest() {
		return EpochEnd{asked, logEnd}
	}
	i := 0
	for e[i].epoch <= asked {
		i++
	}
	if i == 0 {
		return EpochEnd{asked, e[0].start}
	}
	return EpochEnd{e[i-1].epoch, e[i].start}
}
