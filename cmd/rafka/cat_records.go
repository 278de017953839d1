package main

import (
	"bufio"
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/cmd/rafka/internal/offsetspec"
	"github.com/rafka-io/rafka/cmd/rafka/internal/percent"
)

// runProduce is `cat -P`.
func (o *catOptions) runProduce(files []string) error {
	if o.lines && len(files) != 1 {
		return usagef("-l takes one file")
	}
	p := produceOptions{
		topic: o.topics[0], files: files, whole: len(files) > 0 && !o.lines, delimiter: o.delimiter, keyDelimiter: o.keyDelimiter,
		key: o.key, hasKey: o.cmd.Flags().Changed("key"), headers: o.headers, tombstone: o.tombstone, partition: o.partition,
		limit: o.count, compression: o.compression, acks: acksChoice(), noIdempotence: o.noIdempotence,
		maxMessageBytes: defaultMaxMessage, deliveryTimeout: 5 * time.Minute, quiet: true,
	}
	if o.acks != "" {
		if err := p.acks.Set(o.acks); err != nil {
			return usagef("-X acks: %w", err)
		}
	}
	return p.run(o.cmd, &o.conn)
}

// runConsume is `cat -C`.
func (o *catOptions) runConsume(ctx context.Context) error {
	c := consumeOptions{topics: o.topics, exitAtEnd: o.exitAtEnd, limit: o.count, note: o.note}
	if o.partition >= 0 {
		c.partitions = []int32{o.partition}
	}
	if o.isolation == "read_committed" {
		c.isolation = kgo.ReadCommitted()
	}
	c.reach.From = offsetspec.Bound{Kind: offsetspec.Start}
	for _, s := range o.offsets {
		r, err := offsetspec.Parse(s, time.Now())
		switch {
		case err != nil:
			return usagef("-o: %w", err)
		case strings.HasPrefix(s, "e@"):
			c.reach.To = r.To
		case r.Stops():
			c.reach = r
		default:
			c.reach.From = r.From
		}
	}
	if o.exitAtEnd {
		c.atEnd = func(l partitionLog) { o.note("Reached end of topic %s [%d] at offset %d", l.topic, l.partition, l.end) }
	}
	var err error
	if c.write, err = o.writer(); err != nil {
		return err
	}
	if o.unbuffered {
		write := c.write
		c.write = func(out *bufio.Writer, r *kgo.Record) error { return firstError(write(out, r), out.Flush()) }
	}
	return c.run(ctx, &o.conn, o.cmd.OutOrStdout())
}

// writer prints records as kcat would: by -f, as -J's envelope, or plainly.
func (o *catOptions) writer() (recordWriter, error) {
	switch {
	case o.asJSON:
		return writeEnvelope, nil
	case o.format != "":
		return newTemplateWriter(o.format)
	}
	delimiter, err := percent.Unescape(o.delimiter)
	if err != nil {
		return nil, usagef("-D: %w", err)
	}
	keyDelimiter, err := percent.Unescape(o.keyDelimiter)
	if err != nil {
		return nil, usagef("-K: %w", err)
	}
	shown := func(b []byte) []byte {
		if b == nil && o.tombstone {
			return []byte("NULL")
		}
		return b
	}
	var line []byte
	return func(out *bufio.Writer, r *kgo.Record) error {
		line = line[:0]
		if o.printOffset {
			line = append(strconv.AppendInt(line, r.Offset, 10), keyDelimiter...)
		}
		if o.hasKeyDelimiter {
			line = append(append(line, shown(r.Key)...), keyDelimiter...)
		}
		line = append(append(line, shown(r.Value)...), delimiter...)
		_, err := out.Write(line)
		return err
	}, nil
}

// envelope is kcat's -J. It has no place for the encoding of bytes that are not UTF-8; as kcat's own, it replaces those.
type envelope struct {
	Topic         string   `json:"topic"`
	Partition     int32    `json:"partition"`
	Offset        int64    `json:"offset"`
	TimestampType string   `json:"tstype"`
	Timestamp     int64    `json:"ts"`
	Headers       []string `json:"headers,omitempty"` // name, value, name, value …
	Key           *string  `json:"key"`
	Payload       *string  `json:"payload"`
}

func writeEnvelope(out *bufio.Writer, r *kgo.Record) error {
	e := envelope{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, TimestampType: "create", Timestamp: r.Timestamp.UnixMilli()}
	switch r.Attrs.TimestampType() {
	case 1:
		e.TimestampType = "logappend"
	case -1:
		e.TimestampType = "unknown"
	}
	for _, h := range r.Headers {
		e.Headers = append(e.Headers, h.Key, string(h.Value))
	}
	if r.Key != nil {
		key := string(r.Key)
		e.Key = &key
	}
	if r.Value != nil {
		payload := string(r.Value)
		e.Payload = &payload
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(e)
}
