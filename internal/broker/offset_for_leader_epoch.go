package broker

import "github.com/rafka-io/rafka/internal/kafka"

// EpochQuery asks for the end offset of an epoch (OffsetForLeaderEpoch).
type EpochQuery struct {
	Topic        string
	Partition    int32
	CurrentEpoch kafka.LeaderEpoch // NoEpoch: not checked
	Epoch        kafka.LeaderEpoch
}

// EpochAnswer carries NoEpoch and NoOffset when unknown.
type EpochAnswer struct {
	Err error
	EpochEnd
}

// OffsetForLeaderEpoch tells where leader epochs ended. replica: negative for a consumer.
//
// Per partition: UnknownTopicOrPartition and the errors of partition.EpochEnd.
func (b *Broker) OffsetForLeaderEpoch(s *Session, replica kafka.BrokerID, q []EpochQuery) []EpochAnswer {
	answers := make([]EpochAnswer, len(q))
	var refused error
	if replica >= 0 {
		refused = b.mayFollow(s, replica, -1)
	}
	for i := range q {
		at, a := &q[i], &answers[i]
		a.EpochEnd = EpochEnd{Epoch: kafka.NoEpoch, End: kafka.NoOffset}
		p, err := b.named(at.Topic, at.Partition)
		switch {
		case err != nil:
			a.Err = err
		case refused != nil:
			a.Err = refused
		default:
			a.EpochEnd, a.Err = p.EpochEnd(at.CurrentEpoch, at.Epoch)
		}
	}
	return answers
}
