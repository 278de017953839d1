package controller

import (
	"math"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// ProducerIDBlock is how many producer ids are handed out at a time: a broker that stops wastes at most one block of 2^63.
const ProducerIDBlock = 1000

// AllocateProducerIDs hands out the ids [first, first+ProducerIDBlock), which nobody had before and nobody gets again.
func AllocateProducerIDs(img *metadata.Image) (records []metadata.Record, first kafka.ProducerID, err error) {
	first = img.NextProducerID
	if first > math.MaxInt64-ProducerIDBlock {
		return nil, kafka.NoProducer, kafka.Errorf(kafka.UnknownServerError, "Exhausted all producerIds as the next block's end producerId has exceeded the int64 type limit")
	}
	return []metadata.Record{&metadata.ProducerIDsRecord{Next: first + ProducerIDBlock}}, first, nil
}
