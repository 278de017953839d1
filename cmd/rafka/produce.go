package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/cmd/rafka/internal/offsetspec"
	"github.com/rafka-io/rafka/cmd/rafka/internal/percent"
)

// produceOptions say what to read, how to make records of it and how to send them. `produce` and `cat -P` fill them.
type produceOptions struct {
	topic        string
	messages     []string // records given on the command line; nil: read files, or stdin
	files        []string
	whole        bool   // each file (or stdin) is one record
	delimiter    string // between records, with escapes
	keyDelimiter string // between key and value, with escapes; "": no keys in the input
	key          string // for records without one of their own
	hasKey       bool
	headers      keyValues
	tombstone    bool // an empty value is null
	timestamp    string
	partition    int32 // -1: by key
	limit        int64 // records; 0: all

	compression     choice
	acks            choice
	noIdempotence   bool
	maxMessageBytes int
	deliveryTimeout time.Duration

	format string // of one line per acknowledged record; "": decided by where the input comes from
	quiet  bool
}

func newProduceCommand(getenv func(string) string) *cobra.Command {
	conn := connection{getenv: getenv}
	o := produceOptions{compression: compressionChoice(), acks: acksChoice()}
	cmd := &cobra.Command{
		Use:   "produce [TOPIC]",
		Short: "Send records from stdin, files or the command line",
		Long: `Send records: one for each line of stdin (or of --file), one for each --message, or with --whole one for each file.
Values are sent byte for byte; only the delimiter is cut off. Input is streamed, so files may be of any size.

With --format each acknowledged record is reported by a template of percent codes (%p partition, %o offset, %k key;
"rafka consume --help" lists them all), or as "json". Without it, records of --message or typed at a terminal are
reported one by one, and everything else by one line on stderr in the end.`,
		Example: `  echo hello | rafka produce orders
  rafka produce orders --message hello --key k1 -H source=shell
  rafka produce orders --file events.ndjson --compression zstd
  rafka produce orders --key-delimiter : --tombstone < changes.txt`,
		Args: arguments(0, 1, "[TOPIC]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if o.topic != "" && o.topic != args[0] {
					return usagef("two topics, %q and --topic %q: give one", args[0], o.topic)
				}
				o.topic = args[0]
			}
			o.hasKey = cmd.Flags().Changed("key")
			return o.run(cmd, &conn)
		},
		ValidArgsFunction: conn.completeTopics,
	}
	conn.register(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.topic, "topic", "t", "", "topic, if it is not given as an argument")
	f.StringArrayVarP(&o.messages, "message", "m", nil, "value of a record to send instead of reading (repeatable)")
	f.StringArrayVar(&o.files, "file", nil, "read from this `FILE` instead of stdin (repeatable)")
	f.BoolVar(&o.whole, "whole", false, "send all of stdin, or of each file, as one record")
	f.StringVarP(&o.delimiter, "delimiter", "D", `\n`, `text between records; knows \n \r \t \0 \xHH`)
	f.StringVarP(&o.keyDelimiter, "key-delimiter", "K", "", "text between the key and the value of a record")
	f.StringVarP(&o.key, "key", "k", "", "key of records that have none")
	f.VarP(&o.headers, "header", "H", "header of every record (repeatable)")
	f.BoolVarP(&o.tombstone, "tombstone", "Z", false, "send an empty value as null, which deletes its key from a compacted topic")
	f.StringVar(&o.timestamp, "timestamp", "", "`TIME` of every record: 2026-01-31T12:00:00Z, milliseconds since 1970, -1h (default now)")
	f.Int32VarP(&o.partition, "partition", "p", -1, "partition to send to; -1: chosen by the key, as Kafka's clients do")
	f.VarP(&o.compression, "compression", "z", "compression of batches")
	f.Var(&o.acks, "acks", "wait for: all in-sync replicas, 1 (the leader), 0 (nothing)")
	f.IntVar(&o.maxMessageBytes, "max-message-bytes", defaultMaxMessage, "longest record to send; the topic's max.message.bytes must allow it")
	f.DurationVar(&o.deliveryTimeout, "delivery-timeout", 2*time.Minute, "give up when a record is not acknowledged after this long")
	f.StringVarP(&o.format, "format", "f", "", "report each acknowledged record by this `TEMPLATE`, or as json")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "report nothing but errors")
	o.compression.complete(cmd, "compression")
	o.acks.complete(cmd, "acks")
	return cmd
}

func compressionChoice() choice { return oneOf("none", "gzip", "snappy", "lz4", "zstd") }
func acksChoice() choice        { return oneOf("all", "1", "0") }

// codecOption and acksOption turn the words of the command line into options of the client.
func codecOption(name string) kgo.Opt {
	codec := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[name]
	return kgo.ProducerBatchCompression(codec)
}

// acksOption also turns idempotence off where Kafka cannot have it (anything but all).
func acksOption(acks string, idempotent bool) []kgo.Opt {
	var opts []kgo.Opt
	switch acks {
	case "0":
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()))
	case "1":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()))
	default:
		opts = append(opts, kgo.RequiredAcks(kgo.AllISRAcks()))
	}
	if acks != "all" || !idempotent {
		opts = append(opts, kgo.DisableIdempotentWrite())
	}
	return opts
}

// recordMaker turns pieces of input into records.
type recordMaker struct {
	keyDelimiter []byte
	key          []byte // nil: none
	headers      []kgo.RecordHeader
	tombstone    bool
	timestamp    time.Time // zero: when it is sent
	partition    int32
}

// maker checks the options that concern single records.
func (o *produceOptions) maker(now time.Time) (m recordMaker, err error) {
	m = recordMaker{tombstone: o.tombstone, partition: max(o.partition, 0)}
	if m.keyDelimiter, err = percent.Unescape(o.keyDelimiter); err != nil {
		return m, usagef("--key-delimiter: %w", err)
	}
	if o.hasKey {
		m.key = []byte(o.key)
	}
	for _, h := range o.headers {
		m.headers = append(m.headers, kgo.RecordHeader{Key: h.key, Value: []byte(h.value)})
	}
	if o.timestamp != "" {
		if m.timestamp, err = offsetspec.ParseTime(o.timestamp, now); err != nil {
			return m, usagef("--timestamp: %w", err)
		}
	}
	return m, nil
}
