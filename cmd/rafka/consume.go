package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/cmd/rafka/internal/offsetspec"
)

// consumeOptions say what to read and how far. `consume` and `cat -C` fill them.
type consumeOptions struct {
	topics     []string
	group      string // "": none
	regex      bool
	partitions []int32 // nil: all
	reach      offsetspec.Range
	exitAtEnd  bool
	limit      int64 // records; 0: all
	isolation  kgo.IsolationLevel

	write recordWriter
	atEnd func(l partitionLog) // called once for each partition that is read to its end; may be nil
	note  func(format string, args ...any)
}

const consumeHelp = `Read records of topics and print them. Without --group no consumer group is involved and nothing is committed.

By default it starts at the oldest record and then waits for more until it is interrupted, also in partitions that are
added meanwhile; --exit-at-end stops at what was the end when it began, and so does an --offset with an end.

Offsets (--offset): ` + offsetspec.Usage + `.
An offset outside the log is moved to its nearest end, with a note.

With --group it is a member of that consumer group: it reads the partitions that the group gives it from where the group is, and commits what
it has printed. --offset start or end then says where a group begins that has committed nothing.

Formats (--format): text (indented JSON), json (one object a line), yaml, raw (values and nothing else), or a template:
  %t topic   %p partition   %o offset   %e leader epoch   %k key   %s or %v value   %h headers as k=v,k=v   %H their number
  %K key length   %S or %V value length (-1: null)   %R value length as 4 big-endian bytes
  %T timestamp in milliseconds   %d the same as RFC 3339   %d{2006-01-02} by a Go layout
  %h{%k:%v } each header   %x producer id   %y producer epoch   %%   \n \r \t \0 \xHH
In JSON and YAML a key or value that is not valid UTF-8 is base64, and "key_encoding" or "value_encoding" says so.`

func newConsumeCommand(getenv func(string) string) *cobra.Command {
	conn := connection{getenv: getenv}
	o := consumeOptions{}
	var offset, format, delimiter string
	var asJSON, raw, metaOnly, follow bool
	isolation := oneOf("read_committed", "read_uncommitted")
	cmd := &cobra.Command{
		Use:   "consume TOPIC...",
		Short: "Print records of topics",
		Long:  consumeHelp,
		Example: `  rafka consume orders
  rafka consume orders -o -10 -e
  rafka consume orders -o @-1h:end -f '%d %p/%o %k=%s\n'
  rafka consume orders --group billing -n 10
  rafka consume --regex 'orders-.*' -o end --json`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.topics = append(o.topics, args...); len(o.topics) == 0 {
				return usagef("missing topic: rafka consume TOPIC...")
			}
			if o.reach, err = offsetspec.Parse(offset, time.Now()); err != nil {
				return usagef("--offset: %w", err)
			}
			if follow && (o.exitAtEnd || o.reach.Stops()) {
				return usagef("--follow never ends: leave out --exit-at-end and the end of --offset")
			}
			if o.group != "" {
				if err := o.asMember(offset); err != nil {
					return err
				}
			}
			if o.limit < 0 {
				return usagef("--num must not be negative")
			}
			if format, err = chooseFormat(format, asJSON, raw); err != nil {
				return err
			}
			if o.write, err = newRecordWriter(format, delimiter, metaOnly); err != nil {
				return err
			}
			if isolation.value == "read_committed" {
				o.isolation = kgo.ReadCommitted()
			}
			o.note = func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), "rafka: "+format+"\n", args...) }
			if o.group != "" {
				return o.runGroup(cmd.Context(), &conn, cmd.OutOrStdout())
			}
			return o.run(cmd.Context(), &conn, cmd.OutOrStdout())
		},
		ValidArgsFunction: conn.completeTopics,
	}
	conn.register(cmd)
	f := cmd.Flags()
	f.StringArrayVarP(&o.topics, "topic", "t", nil, "topic, if it is not given as an argument (repeatable)")
	f.StringVarP(&offset, "offset", "o", "start", "where to start and stop, see above")
	f.StringVarP(&o.group, "group", "g", "", "consumer group to read as a member of")
	f.Int32SliceVarP(&o.partitions, "partitions", "p", nil, "only these partitions (default all)")
	f.BoolVarP(&follow, "follow", "F", false, "wait for more at the end; the default, and refused together with an end")
	f.BoolVarP(&o.exitAtEnd, "exit-at-end", "e", false, "stop at the end instead of waiting for more")
	f.Int64VarP(&o.limit, "num", "n", 0, "stop after this many records")
	f.StringVarP(&format, "format", "f", "", "text, json, yaml, raw or a template, see above (default text)")
	f.BoolVar(&asJSON, "json", false, "the same as --format json")
	f.BoolVar(&raw, "raw", false, "the same as --format raw")
	f.StringVarP(&delimiter, "delimiter", "D", `\n`, `what follows each value in the raw format; knows \n \r \t \0 \xHH, may be empty`)
	f.BoolVarP(&o.regex, "regex", "r", false, "the topics are regular expressions that must match the whole name")
	f.Var(&isolation, "isolation", "whether records of open and aborted transactions are left out")
	f.BoolVar(&metaOnly, "meta-only", false, "print sizes instead of keys and values")
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "partition" { // the earlier programs' spelling
			name = "partitions"
		}
		return pflag.NormalizedName(name)
	})
	isolation.complete(cmd, "isolation")
	return cmd
}

// chooseFormat merges --format with its short forms.
func chooseFormat(format string, asJSON, raw bool) (string, error) {
	given := 0
	for _, set := range []bool{format != "", asJSON, raw} {
		if set {
			given++
		}
	}
	switch {
	case given > 1:
		return "", usagef("--format, --json and --raw exclude each other")
	case asJSON:
		return "json", nil
	case raw:
		return "raw", nil
	case format == "":
		return "text", nil
	}
	return format, nil
}

// plan names the partitions to read, and where their logs start and end now.
func (o *consumeOptions) plan(ctx context.Context, adm *admin) ([]partitionLog, error) {
	topics := o.topics
	if o.regex {
		var err error
		if topics, err = matchTopics(ctx, adm, o.topics, false); err != nil {
			return nil, err
		}
	}
	return loadLogs(ctx, adm, topics, o.partitions, o.isolation, o.reach.From, o.reach.To)
}

// span turns the wanted range into offsets of one log. to is -1 if there is no stop.
func (o *consumeOptions) span(l partitionLog) (from, to int64) {
	from = o.reach.From.Offset(l.start, l.end, l.times[o.reach.From.N])
	if from < l.start || from > l.end {
		o.note("%s/%d: offset %d is outside the log (%d to %d); starting at its %s", l.topic, l.partition, from, l.start, l.end,
			map[bool]string{true: "start", false: "end"}[from < l.start])
		from = min(max(from, l.start), l.end)
	}
	switch {
	case o.reach.Stops():
		to = o.reach.To.Offset(l.start, l.end, l.times[o.reach.To.N])
		if o.exitAtEnd {
			to = min(to, l.end)
		}
	case o.exitAtEnd:
		to = l.end
	default:
		to = -1
	}
	return from, to
}
