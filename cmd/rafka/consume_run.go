package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// quietBefore is how long a bounded consumer waits for records before it asks whether any can still come.
const quietBefore = time.Second

// reading is a partition being read.
type reading struct {
	partitionLog
	next int64 // offset after the last record seen
	stop int64 // -1: never
}

type topicPartition struct {
	topic     string
	partition int32
}

// run consumes until the range ends, the limit is reached or ctx is done, all of which are success.
func (o *consumeOptions) run(ctx context.Context, conn *connection, w io.Writer) error {
	cl, err := conn.open(ctx, kgo.FetchIsolationLevel(o.isolation), kgo.KeepControlRecords(), kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return err
	}
	defer cl.Close()
	planCtx, cancel := context.WithTimeout(ctx, conn.timeout)
	defer cancel()
	logs, err := o.plan(planCtx, newAdmin(cl))
	if err != nil {
		return explain(err)
	}
	out := bufio.NewWriterSize(w, 64<<10)
	open := make(map[topicPartition]*reading)
	starts := make(map[string]map[int32]kgo.Offset)
	for _, l := range logs {
		from, to := o.span(l)
		if to >= 0 && from >= to {
			o.ended(l)
			continue
		}
		open[topicPartition{l.topic, l.partition}] = &reading{l, from, to}
		if starts[l.topic] == nil {
			starts[l.topic] = make(map[int32]kgo.Offset)
		}
		starts[l.topic][l.partition] = kgo.NewOffset().At(from)
	}
	cl.AddConsumePartitions(starts)
	err = o.poll(ctx, cl, out, open)
	return firstError(err, out.Flush())
}

// poll prints records until no partition is open. What is printed is flushed whenever the client has no more at hand.
func (o *consumeOptions) poll(ctx context.Context, cl *kgo.Client, out *bufio.Writer, open map[topicPartition]*reading) error {
	var printed int64
	follows := !o.exitAtEnd && !o.reach.Stops() && len(o.partitions) == 0
	looked := time.Now()
	for len(open) > 0 {
		if follows && time.Since(looked) > adoptEvery {
			o.adopt(ctx, cl, open)
			looked = time.Now()
		}
		most := int64(10_000)
		if o.limit > 0 {
			most = min(most, o.limit-printed)
		}
		pollCtx, cancel := context.WithTimeout(ctx, quietBefore)
		fetches := cl.PollRecords(pollCtx, int(most))
		cancel()
		if ctx.Err() != nil {
			return nil // interrupted: what was printed is whole
		}
		if err := fetchError(fetches); err != nil {
			return err
		}
		for records := fetches.RecordIter(); !records.Done(); {
			r := records.Next()
			tp := topicPartition{r.Topic, r.Partition}
			p := open[tp]
			if p == nil {
				continue // beyond its stop, fetched before that was known
			}
			p.next = r.Offset + 1
			// Transaction markers are kept in the fetch only to see the end of the log behind them.
			if !r.Attrs.IsControl() && (p.stop < 0 || r.Offset < p.stop) {
				if err := o.write(out, r); err != nil {
					return err
				}
				if printed++; printed == o.limit {
					return nil
				}
			}
			if p.stop >= 0 && p.next >= p.stop {
				o.close(cl, open, tp)
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
		if fetches.Empty() {
			if err := o.closeSettled(ctx, cl, open); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetchError is the first error that the client does not deal with itself. Each poll ends with its own time-out, which is none.
func fetchError(fetches kgo.Fetches) error {
	return fetchErrorBut(fetches, func(error) bool { return false })
}

// fetchErrorBut is fetchError without those that pass.
func fetchErrorBut(fetches kgo.Fetches, passes func(error) bool) (err error) {
	fetches.EachError(func(topic string, partition int32, fetchErr error) {
		var lost *kgo.ErrDataLoss
		if err != nil || errors.Is(fetchErr, context.DeadlineExceeded) || errors.As(fetchErr, &lost) || passes(fetchErr) {
			return
		}
		if err = explain(fetchErr); topic != "" { // an error of a group has none
			err = fmt.Errorf("consume %s/%d: %w", topic, partition, err)
		}
	})
	return err
}

func (o *consumeOptions) close(cl *kgo.Client, open map[topicPartition]*reading, tp topicPartition) {
	o.ended(open[tp].partitionLog)
	delete(open, tp)
	cl.PauseFetchPartitions(map[string][]int32{tp.topic: {tp.partition}})
}

func (o *consumeOptions) ended(l partitionLog) {
	if o.atEnd != nil {
		o.atEnd(l)
	}
}
