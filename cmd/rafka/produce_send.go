package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/cmd/rafka/internal/percent"
)

// maxBuffered bounds the memory for records that are read but not acknowledged yet; reading waits when it is full (CLI-3).
const maxBuffered = 64 << 20

// defaultMaxMessage is the longest record by default; see clientOptions for its relation to max.message.bytes.
const defaultMaxMessage = 1_000_000

// errLimit ends the reading of input early, without being a failure.
var errLimit = errors.New("no more input wanted")

// run sends everything and waits for the acknowledgements.
func (o *produceOptions) run(cmd *cobra.Command, conn *connection) error {
	if o.topic == "" {
		return usagef("missing topic: %s TOPIC", cmd.CommandPath())
	}
	if o.maxMessageBytes < 1 || o.deliveryTimeout < time.Second {
		return usagef("--max-message-bytes must be at least 1 and --delivery-timeout at least 1s")
	}
	var progress io.Writer
	if isTerminal(cmd.ErrOrStderr()) && !o.quiet {
		progress = cmd.ErrOrStderr()
	}
	in, err := o.input(cmd.InOrStdin(), progress)
	if err != nil {
		return err
	}
	oneByOne := len(o.messages) > 0 || (len(o.files) == 0 && isTerminal(cmd.InOrStdin()))
	report, err := o.reporter(oneByOne)
	if err != nil {
		return err
	}
	cl, err := conn.open(cmd.Context(), o.clientOptions()...)
	if err != nil {
		return err
	}
	defer cl.Close()

	s := &sender{out: bufio.NewWriter(cmd.OutOrStdout()), report: report, failed: make(chan struct{})}
	started := time.Now()
	if err := s.sendAll(cmd.Context(), cl, in, o.limit, conn.timeout+o.deliveryTimeout); err != nil {
		return fmt.Errorf("produce to %s: %w (%d records were acknowledged)", o.topic, explain(err), s.records)
	}
	if report == nil && !o.quiet {
		fmt.Fprintf(cmd.ErrOrStderr(), "produced %d records (%s) to %s in %s\n", s.records, bytesText(s.bytes), o.topic,
			time.Since(started).Round(100*time.Microsecond))
	}
	return nil
}

func (o *produceOptions) clientOptions() []kgo.Opt {
	opts := append(acksOption(o.acks.value, !o.noIdempotence), codecOption(o.compression.value), kgo.DefaultProduceTopic(o.topic),
		// A batch must fit max.message.bytes of the topic, 1,048,588 by default; 1 KiB is room for its header and the record's.
		kgo.ProducerBatchMaxBytes(int32(min(max(o.maxMessageBytes, defaultMaxMessage)+1024, 1<<30))),
		kgo.MaxBufferedBytes(max(maxBuffered, 2*o.maxMessageBytes)), kgo.MaxBufferedRecords(1<<17),
		kgo.AllowAutoTopicCreation())
	if o.timestamp == "" {
		opts = append(opts, kgo.RecordDeliveryTimeout(o.deliveryTimeout))
	} else {
		// The client counts the delivery time-out from the record's timestamp, so one of last year would fail at once.
		opts = append(opts, kgo.RecordRetries(20))
	}
	if o.maxMessageBytes > 50<<20 {
		opts = append(opts, kgo.BrokerMaxWriteBytes(int32(min(2*o.maxMessageBytes, 1<<30))))
	}
	if o.partition >= 0 {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	return opts
}

// reporter is what to print for each acknowledged record; nil: nothing.
func (o *produceOptions) reporter(oneByOne bool) (func(dst []byte, r *kgo.Record) []byte, error) {
	format := o.format
	switch {
	case o.quiet && format == "", format == "" && !oneByOne:
		return nil, nil
	case format == "":
		format = `Produced to partition %p at offset %o\n`
	case format == "json":
		return func(dst []byte, r *kgo.Record) []byte {
			b, err := json.Marshal(map[string]any{"topic": r.Topic, "partition": r.Partition, "offset": r.Offset, "timestamp": r.Timestamp.UnixMilli()})
			if err != nil {
				panic(err) // strings and numbers always encode
			}
			return append(append(dst, b...), '\n')
		}, nil
	}
	f, err := percent.Compile(format)
	if err != nil {
		return nil, usagef("--format: %w", err)
	}
	return f.Append, nil
}

// sender counts and reports acknowledgements.
type sender struct {
	report func(dst []byte, r *kgo.Record) []byte
	failed chan struct{} // closed with the first error

	// mu guards what the client's callbacks and run share. Never held while a record is handed to the client.
	mu      sync.Mutex
	out     *bufio.Writer
	line    []byte
	records int64
	bytes   int64
	err     error // the first
}

// sendAll reads and sends until the input ends, an error shows, or ctx is done; then it waits for what is on its way.
func (s *sender) sendAll(ctx context.Context, cl *kgo.Client, in *input, limit int64, wait time.Duration) error {
	// Records already read are still delivered after a signal, so their context is not the command's.
	sendCtx, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	readDone := make(chan error, 1)
	// A read from a terminal or pipe cannot be interrupted, so after a signal or an error this goroutine is left behind in it;
	// the process ends right after.
	go func() {
		var n int64
		readDone <- in.each(func(r *kgo.Record) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-s.failed:
				return errLimit // the cause is in s.err
			default:
			}
			cl.Produce(sendCtx, r, s.acknowledged)
			if n++; n == limit {
				return errLimit
			}
			return nil
		})
	}()
	var err error
	select {
	case err = <-readDone:
	case <-ctx.Done():
		err = ctx.Err()
	case <-s.failed:
		abort() // the rest would only arrive out of order behind the gap
	}
	if errors.Is(err, errLimit) {
		err = nil
	}
	flushCtx, cancel := context.WithTimeout(sendCtx, wait)
	defer cancel()
	flushErr := cl.Flush(flushCtx)
	s.mu.Lock()
	defer s.mu.Unlock()
	return firstError(s.err, err, flushErr, s.out.Flush())
}

// acknowledged is called by the client for each record, when it is stored or given up.
func (s *sender) acknowledged(r *kgo.Record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.fail(r, err)
		return
	}
	s.records++
	s.bytes += int64(len(r.Key) + len(r.Value))
	if s.report == nil {
		return
	}
	s.line = s.report(s.line[:0], r)
	_, err = s.out.Write(s.line)
	if err == nil && s.out.Buffered() > 0 && s.records < 100 {
		err = s.out.Flush() // somebody may be watching the first ones
	}
	if err != nil {
		s.fail(r, err)
	}
}

func (s *sender) fail(r *kgo.Record, err error) {
	if s.err != nil {
		return
	}
	s.err = err
	if errors.Is(err, kerr.MessageTooLarge) {
		s.err = fmt.Errorf("a record of %d bytes: %w: raise --max-message-bytes and the topic's max.message.bytes", len(r.Key)+len(r.Value), err)
	}
	close(s.failed)
}

func firstError(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}
