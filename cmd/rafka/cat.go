package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// catOptions are kcat's flags. They are turned into those of produce, consume and admin requests; nothing is done here that
// those verbs do not do themselves.
type catOptions struct {
	conn connection
	cmd  *cobra.Command

	consume, produce, list, query  bool
	topics                         []string
	partition                      int32
	offsets                        []string
	keyDelimiter, delimiter        string
	key, format                    string
	headers                        keyValues
	exitAtEnd, quiet, tombstone    bool
	asJSON, printOffset            bool
	lines, unbuffered              bool
	count                          int64
	compression                    choice
	timeoutSeconds                 int
	acks, isolation                string
	noIdempotence, hasKeyDelimiter bool
}

const catHelp = `Do what kcat (kafkacat) does, with kcat's flags: -C consume, -P produce, -L list metadata, -Q query offsets by time.
Without a mode it consumes if stdin is a terminal and produces otherwise, as kcat does.

-X takes librdkafka's names: bootstrap.servers, security.protocol, sasl.mechanism, sasl.username, sasl.password,
ssl.ca.location, acks, compression.codec, enable.idempotence, isolation.level, client.id.

The verbs of rafka itself say more and check more: see "rafka consume --help" and "rafka produce --help".`

func newCatCommand(getenv func(string) string) *cobra.Command {
	o := catOptions{conn: connection{getenv: getenv}, compression: compressionChoice(), isolation: "read_committed"}
	cmd := &cobra.Command{
		Use:   "cat [-C|-P|-L|-Q] [-t TOPIC] [FILE...]",
		Short: "Produce, consume and list with kcat's flags",
		Long:  catHelp,
		Example: `  rafka cat -L -J
  rafka cat -P -t orders -K: -z zstd -l changes.txt
  rafka cat -C -t orders -p 0 -o -10 -e -f '%t [%p] %o: %k=%s\n'
  rafka cat -Q -t orders:0:1700000000000`,
		RunE: func(cmd *cobra.Command, files []string) error {
			o.cmd, o.hasKeyDelimiter = cmd, cmd.Flags().Changed("key-delimiter")
			return o.run(cmd.Context(), files)
		},
	}
	f := cmd.Flags()
	f.StringSliceVarP(&o.conn.brokers, "brokers", "b", nil, "addresses host:port,... to connect to")
	f.VarP(&o.conn.properties, "X", "X", "librdkafka property, see above (repeatable)")
	f.IntVarP(&o.timeoutSeconds, "timeout", "m", 5, "seconds to wait for the cluster to answer")
	f.BoolVarP(&o.consume, "consume", "C", false, "consume")
	f.BoolVarP(&o.produce, "produce", "P", false, "produce")
	f.BoolVarP(&o.list, "list", "L", false, "list brokers and topics")
	f.BoolVarP(&o.query, "query", "Q", false, "find the offset of a time: -t TOPIC:PARTITION:MILLISECONDS")
	f.StringArrayVarP(&o.topics, "topic", "t", nil, "topic")
	f.Int32VarP(&o.partition, "partition", "p", -1, "partition; -1: all, or chosen by the key")
	f.StringArrayVarP(&o.offsets, "offset", "o", nil, "where to start: beginning, end, N, -N, s@MILLISECONDS; e@MILLISECONDS: where to stop")
	f.StringVarP(&o.keyDelimiter, "key-delimiter", "K", "", "text between key and value")
	f.StringVarP(&o.delimiter, "delimiter", "D", `\n`, "text between records")
	f.StringVarP(&o.key, "key", "k", "", "key of records that have none")
	f.StringVarP(&o.format, "format", "f", "", `print records by this template, such as '%t [%p] %o: %k=%s %h\n'`)
	f.VarP(&o.headers, "header", "H", "header of every record (repeatable)")
	f.BoolVarP(&o.exitAtEnd, "exit", "e", false, "stop at the end")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no notes on stderr")
	f.BoolVarP(&o.tombstone, "null", "Z", false, "produce: send empty values as null; consume: print null as NULL")
	f.BoolVarP(&o.asJSON, "json", "J", false, "print JSON")
	f.BoolVarP(&o.printOffset, "print-offset", "O", false, "print the offset before each record, with -K's text between")
	f.BoolVarP(&o.lines, "lines", "l", false, "the file holds one record a line (otherwise each file is one record)")
	f.BoolVarP(&o.unbuffered, "unbuffered", "u", false, "write each record out at once")
	f.Int64VarP(&o.count, "count", "c", 0, "stop after this many records")
	f.VarP(&o.compression, "compression", "z", "compression of batches")
	return cmd
}

func (o *catOptions) run(ctx context.Context, files []string) error {
	modes := 0
	for _, set := range []bool{o.consume, o.produce, o.list, o.query} {
		if set {
			modes++
		}
	}
	if modes > 1 {
		return usagef("-C, -P, -L and -Q exclude each other")
	}
	if modes == 0 {
		o.consume = isTerminal(o.cmd.InOrStdin())
		o.produce = !o.consume
	}
	if !o.produce && len(files) > 0 {
		return usagef("unexpected argument %q: only -P reads files", files[0])
	}
	o.conn.timeout = time.Duration(o.timeoutSeconds) * time.Second
	if err := o.takeProperties(); err != nil {
		return err
	}
	switch {
	case o.list:
		return o.runList(ctx)
	case o.query:
		return o.runQuery(ctx)
	case len(o.topics) != 1:
		return usagef("name one topic with -t TOPIC")
	case o.produce:
		return o.runProduce(files)
	}
	return o.runConsume(ctx)
}

// takeProperties applies the -X properties that are about records; those about the connection are left for it to check.
func (o *catOptions) takeProperties() (err error) {
	var rest keyValues
	for _, kv := range o.conn.properties {
		switch kv.key {
		case "acks", "request.required.acks", "topic.acks", "topic.request.required.acks":
			o.acks = kv.value
			if o.acks == "-1" {
				o.acks = "all"
			}
		case "compression.codec", "compression.type":
			err = o.compression.Set(kv.value)
		case "enable.idempotence":
			var on bool
			err = setBool(&on, kv.value)
			o.noIdempotence = !on
		case "isolation.level":
			level := oneOf("read_committed", "read_uncommitted")
			err = level.Set(kv.value)
			o.isolation = level.value
		default:
			rest = append(rest, kv)
		}
		if err != nil {
			return usagef("-X %s: %w", kv.key, err)
		}
	}
	o.conn.properties = rest
	return nil
}

// note prints a kcat-like remark on stderr.
func (o *catOptions) note(format string, args ...any) {
	if !o.quiet {
		fmt.Fprintf(o.cmd.ErrOrStderr(), "%% "+format+"\n", args...)
	}
}
