package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// errEnough ends a reading early; it is no failure.
var errEnough = errors.New("enough records are read")

// readLogs gives fn the committed records of each log from its start to its end, in the order of offsets within a partition, until fn returns
// an error; errEnough is none. An interruption ends it without one: what fn has seen is whole.
func readLogs(ctx context.Context, cl *kgo.Client, logs []partitionLog, fn func(r *kgo.Record) error) error {
	open := make(map[topicPartition]*reading)
	starts := make(map[string]map[int32]kgo.Offset)
	for _, l := range logs {
		if l.start >= l.end {
			continue
		}
		open[topicPartition{l.topic, l.partition}] = &reading{l, l.start, l.end}
		if starts[l.topic] == nil {
			starts[l.topic] = make(map[int32]kgo.Offset)
		}
		starts[l.topic][l.partition] = kgo.NewOffset().At(l.start)
	}
	cl.AddConsumePartitions(starts)
	c := consumeOptions{exitAtEnd: true, isolation: kgo.ReadCommitted(), write: func(_ *bufio.Writer, r *kgo.Record) error { return fn(r) }}
	err := c.poll(ctx, cl, bufio.NewWriter(io.Discard), open)
	if errors.Is(err, errEnough) {
		err = nil
	}
	return err
}

// openReader opens a client for readLogs.
func (c *connection) openReader(ctx context.Context, extra ...kgo.Opt) (*kgo.Client, error) {
	return c.open(ctx, append(extra, kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.FetchMaxWait(500*time.Millisecond))...)
}

// valueText is the beginning of a key or value for a table.
func valueText(b []byte) string {
	const most = 40
	s, encoding := jsonBytes(b)
	switch {
	case s == nil:
		return "-"
	case encoding != "":
		return bytesText(int64(len(b)))
	}
	runes := []rune(*s)
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return *s
}
