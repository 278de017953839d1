package route

import (
	"math"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// What goes in one batch at most: messages that came while the one before was on its way go together.
const (
	maxTogetherBytes    = 256 << 10
	maxTogetherMessages = 5000
)

// stream is what is published here to one partition, one batch after the other (RTE-1).
type stream struct {
	v  *Verbs
	at kafka.TopicPartition

	// Guarded by publishing.mu.
	queue []*message
	bytes int  // of queue
	busy  bool // run is at work

	// Of run.
	producer kafka.ProducerID // NoProducer: to be had yet
	epoch    kafka.ProducerEpoch
	sequence kafka.Sequence // of the next record
}

// run stores what is in line until nothing is.
func (st *stream) run() {
	for {
		batch := st.take()
		if len(batch) == 0 {
			return
		}
		st.store(batch)
	}
}

// take takes the messages of the next batch off the queue; none ends the work.
func (st *stream) take() []*message {
	p := &st.v.publishing
	p.mu.Lock()
	defer p.mu.Unlock()
	n, bytes := 0, 0
	for n < len(st.queue) && n < maxTogetherMessages && (n == 0 || bytes+len(st.queue[n].records) <= maxTogetherBytes) {
		bytes += len(st.queue[n].records)
		n++
	}
	batch := st.queue[:n:n]
	if st.queue = st.queue[n:]; len(st.queue) == 0 {
		st.queue = nil
	}
	if n == 0 {
		st.busy = false
		return nil
	}
	st.bytes -= bytes
	p.bytes -= bytes
	close(p.room)
	p.room = make(chan struct{})
	return batch
}

// store stores messages as one batch, and tells those who wait. When the batch is refused for what is in it, each is tried on its own.
func (st *stream) store(batch []*message) {
	recs, firsts, err := recordsOf(batch)
	var done broker.ProduceResult
	if err == nil {
		done, err = st.send(batch[0], recs)
	}
	switch {
	case err == nil:
		for i, m := range batch {
			r := done
			r.BaseOffset += kafka.Offset(firsts[i])
			m.end(r)
		}
	case len(batch) > 1 && isAboutContent(err):
		for i := range batch {
			st.store(batch[i : i+1])
		}
	default:
		for _, m := range batch {
			r := failed(err)
			r.RecordErrors = done.RecordErrors
			m.end(r)
		}
	}
}

// recordsOf are the records of messages, one after the other; firsts says at which of them each message begins.
func recordsOf(batch []*message) (recs []record.Record, firsts []int, err error) {
	for _, m := range batch {
		firsts = append(firsts, len(recs))
		for r, err := range record.Records(m.records, math.MaxInt32) {
			if err != nil {
				return nil, nil, kafka.Errorf(kafka.InvalidRecord, "the records cannot be read: %w", err)
			}
			r.Offset = kafka.Offset(len(recs))
			recs = append(recs, r)
		}
	}
	return recs, firsts, nil
}

// isAboutContent says that the batch would be refused again, be it for one of its messages.
func isAboutContent(err error) bool {
	c := kafka.CodeOf(err)
	return !c.Retriable() && c != kafka.BrokerNotAvailable && c != kafka.UnknownServerError
}
