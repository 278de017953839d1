package textsrv

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// deliver writes the messages of an answer and notes that they are held. An error is of a partition that gave none.
func (m *member) deliver(a *kmsg.ShareFetchResponse) (n int, err error) {
	if err := queueError(a.ErrorCode, a.ErrorMessage, m.group); err != nil {
		return 0, err
	}
	lock := time.Duration(a.AcquisitionLockTimeoutMillis) * time.Millisecond
	until := m.conn.server.opts.Now().Add(lock)
	var gaps []settlement
	for i := range a.Topics {
		for j := range a.Topics[i].Partitions {
			p := &a.Topics[i].Partitions[j]
			d := delivery{member: m, holding: holding{queuePartition{a.Topics[i].TopicID, p.Partition}, until}, lock: lock, ranges: p.AcquiredRecords}
			if e := queueError(p.ErrorCode, p.ErrorMessage, m.group); e != nil {
				err = e
			}
			if e := d.write(p.Records); e != nil {
				err = e
			}
			if n += d.n; len(d.gaps) > 0 {
				gaps = append(gaps, settlement{d.queuePartition, d.gaps})
			}
		}
	}
	if len(gaps) > 0 {
		m.acknowledge(gaps, share.AckGap) // if it fails, they come again and are told again
	}
	return n, err
}

// delivery writes what was acquired of one partition.
type delivery struct {
	*member
	holding
	lock   time.Duration
	ranges []kmsg.ShareFetchResponseTopicPartitionAcquiredRecord // rising
	next   kafka.Offset                                          // in ranges[0], if anything of it was seen
	n      int
	gaps   []kafka.Offset // acquired, but there is no such record: compaction removed it
}

// write writes the acquired ones among the records, which are whole batches.
func (d *delivery) write(raw record.Batches) error {
	if len(d.ranges) > 0 {
		d.next = kafka.Offset(d.ranges[0].FirstOffset)
	}
	for h, batch := range raw.All() {
		if h.IsControl() {
			continue
		}
		for r, err := range record.Records(batch, maxDecompressed) {
			if err != nil {
				return kafka.Errorf(kafka.CorruptMessage, "read %s/%d at offset %d: %w", d.topic, d.partition, h.BaseOffset, err)
			}
			d.skipTo(r.Offset)
			if len(d.ranges) == 0 {
				return nil
			}
			if r.Offset < d.next {
				continue
			}
			d.writeOne(&r)
			d.next++
		}
	}
	d.skipTo(1<<63 - 1)
	return nil
}

// skipTo notes the acquired offsets before o as gaps.
func (d *delivery) skipTo(o kafka.Offset) {
	for len(d.ranges) > 0 {
		last := kafka.Offset(d.ranges[0].LastOffset)
		for ; d.next < o && d.next <= last; d.next++ {
			d.gaps = append(d.gaps, d.next)
		}
		if d.next <= last {
			return
		}
		if d.ranges = d.ranges[1:]; len(d.ranges) > 0 {
			d.next = kafka.Offset(d.ranges[0].FirstOffset)
		}
	}
}

func (d *delivery) writeOne(r *record.Record) {
	id := messageID{d.topic, d.partition, r.Offset}
	d.conn.writeMessage(id, d.ranges[0].DeliveryCount, int64(d.lock/time.Second), r)
	d.held[id] = d.holding
	d.conn.queues.given = append(d.conn.queues.given, id)
	d.n++
}
