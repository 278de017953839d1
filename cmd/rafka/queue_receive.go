package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const receiveHelp = `Take messages as a member of a share group, print them and accept them.

A message that is printed is accepted right after, so each goes to one receiver; with --release it goes back to the queue, with --reject it
is given up (and goes to the group's dead-letter topic, if it has one).

--exec runs a shell command for each message, one at a time, with the value on its stdin and RAFKA_TOPIC, RAFKA_PARTITION, RAFKA_OFFSET,
RAFKA_KEY and RAFKA_DELIVERY_COUNT in its environment. Exit code 0 accepts the message, 100 rejects it, any other releases it, so that it
comes again. While the command runs, the hold on the message is renewed. The command's stdout is this command's.

A message is held by the connection that took it and released when that closes; that is how share groups work, so there is no command that
acknowledges later what another invocation received: --exec does the work while the message is held.

A group that does not exist yet begins with the oldest message (--from end: with what comes from now on).`

// receiveOptions are the flags of receive.
type receiveOptions struct {
	topics          []string
	group           string
	count           int64         // 0: until wait ends without a message
	wait            time.Duration // for a message; 0: for ever
	exec            string
	reject, release bool
	from            choice
	write           recordWriter
}

func newQueueReceive(q *queueCommand) *cobra.Command {
	o := receiveOptions{from: oneOf("start", "end")}
	var format string
	cmd := &cobra.Command{
		Use:   "receive TOPIC...",
		Short: "Take messages and accept them",
		Long:  receiveHelp,
		Example: `  rafka queue receive jobs
  rafka queue receive jobs --group workers --count 0 --wait 0 --exec ./work.sh
  rafka queue receive jobs --count 10 --format '%k %v\n'`,
		Args: arguments(1, -1, "TOPIC..."),
		RunE: func(cmd *cobra.Command, topics []string) (err error) {
			o.topics = topics
			switch {
			case o.count < 0, o.wait < 0:
				return usagef("--count and --wait must not be negative")
			case o.group == "":
				return usagef("--group must not be empty")
			case o.reject && o.release:
				return usagef("--reject and --release exclude each other")
			case o.exec != "" && (o.reject || o.release):
				return usagef("--exec decides by the exit code of the command: leave out --reject and --release")
			case o.exec != "" && cmd.Flags().Changed("format"):
				return usagef("--exec prints what the command prints: leave out --format")
			}
			if o.write, err = newMessageWriter(format); err != nil {
				return err
			}
			return o.run(cmd, q)
		},
		ValidArgsFunction: q.completeTopics,
	}
	f := cmd.Flags()
	f.StringVarP(&o.group, "group", "g", defaultQueueGroup, "share group to take messages as")
	f.Int64VarP(&o.count, "count", "n", 1, "stop after this many messages; 0: when none comes within --wait")
	f.DurationVarP(&o.wait, "wait", "w", 10*time.Second, "give up when no message comes for this long; 0: never")
	f.StringVarP(&o.exec, "exec", "x", "", "run this shell `COMMAND` for each message")
	f.BoolVar(&o.reject, "reject", false, "reject the messages instead of accepting them")
	f.BoolVar(&o.release, "release", false, "put the messages back instead of accepting them")
	f.Var(&o.from, "from", "where a group begins that does not exist yet")
	f.StringVarP(&format, "format", "f", "text", "text, json, yaml, raw or a template, as in \"rafka consume\"")
	o.from.complete(cmd, "from")
	q.completeQueueGroup(cmd)
	return cmd
}

// queuedView is a message in JSON and YAML.
type queuedView struct {
	recordView
	DeliveryCount int32 `json:"delivery_count"` // this delivery included
}

func viewQueued(r *kgo.Record) any {
	return queuedView{viewRecord(r).(recordView), r.DeliveryCount()}
}

// newMessageWriter reads --format of queue verbs: the same words as consume's, with the count of deliveries.
func newMessageWriter(format string) (recordWriter, error) {
	switch format {
	case "text":
		return writeJSON(viewQueued, "  "), nil
	case "json":
		return writeJSON(viewQueued, ""), nil
	case "yaml":
		return writeYAML(viewQueued), nil
	}
	return newRecordWriter(format, `\n`, false)
}

// acknowledged gathers what brokers say of acknowledgements, on the client's goroutine.
type acknowledged struct {
	mu  sync.Mutex // guards err; a leaf
	err error
}

func (a *acknowledged) done(_ *kgo.Client, results kgo.ShareAckResults) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range results {
		if r.Err != nil && a.err == nil {
			a.err = fmt.Errorf("acknowledge messages of %s/%d: %w", r.Topic, r.Partition, describe(r.Err, ackAdvice(r.Err)))
		}
	}
}

func (a *acknowledged) failed() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

func ackAdvice(err error) string {
	if errors.Is(err, kerr.InvalidRecordState) {
		return "the message was held too long, and is with another receiver by now (share.record.lock.duration.ms)"
	}
	return ""
}

// run receives until the count is reached, nothing comes, or it is interrupted.
func (o *receiveOptions) run(cmd *cobra.Command, q *queueCommand) error {
	ctx := cmd.Context()
	if err := o.begin(cmd, q); err != nil {
		return err
	}
	most := int64(500)
	if o.exec != "" {
		most = 1 // what waits behind a running command is better in the hands of another receiver
	}
	if o.count > 0 {
		most = min(most, o.count)
	}
	var acks acknowledged
	cl, err := q.open(ctx, kgo.ShareGroup(o.group), kgo.ConsumeTopics(o.topics...), kgo.ShareMaxRecords(int32(most)), kgo.ShareMaxRecordsStrict(),
		kgo.ShareAckCallback(acks.done), kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return err
	}
	defer cl.Close()
	out := bufio.NewWriterSize(cmd.OutOrStdout(), 64<<10)
	received, err := o.receive(ctx, cl, cmd, out, most)
	// What was decided goes out also when the verb was interrupted; it fails no later than the time-out.
	flushCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.timeout)
	defer cancel()
	err = firstError(err, out.Flush(), explain(cl.FlushAcks(flushCtx)), acks.failed())
	if err == nil && received == 0 && o.count > 0 && ctx.Err() == nil {
		err = fmt.Errorf("no message came within %s", o.wait)
	}
	return err
}

// receive polls and settles.
func (o *receiveOptions) receive(ctx context.Context, cl *kgo.Client, cmd *cobra.Command, out *bufio.Writer, most int64) (received int64, err error) {
	for o.count == 0 || received < o.count {
		if o.count > 0 {
			most = min(most, o.count-received)
		}
		pollCtx, cancel := ctx, context.CancelFunc(func() {})
		if o.wait > 0 {
			pollCtx, cancel = context.WithTimeout(ctx, o.wait)
		}
		fetches := cl.PollRecords(pollCtx, int(most))
		cancel()
		if ctx.Err() != nil {
			return received, nil
		}
		if err := fetchError(fetches); err != nil {
			return received, err
		}
		if fetches.NumRecords() == 0 {
			return received, nil
		}
		records := fetches.Records()
		if o.exec != "" {
			err = o.runEach(ctx, cl, cmd, records)
		} else {
			err = o.printEach(out, records)
		}
		received += int64(len(records))
		if err != nil || ctx.Err() != nil {
			return received, err
		}
	}
	return received, nil
}

// printEach prints messages and settles them once they are out.
func (o *receiveOptions) printEach(out *bufio.Writer, records []*kgo.Record) error {
	for i, r := range records {
		if err := o.write(out, r); err != nil {
			for _, rest := range records[i:] {
				rest.Ack(kgo.AckRelease)
			}
			return err
		}
	}
	if err := out.Flush(); err != nil {
		for _, r := range records {
			r.Ack(kgo.AckRelease)
		}
		return err
	}
	status := kgo.AckAccept
	switch {
	case o.reject:
		status = kgo.AckReject
	case o.release:
		status = kgo.AckRelease
	}
	for _, r := range records {
		r.Ack(status)
	}
	return nil
}

// begin makes a group that does not exist start at the oldest message: Kafka's default, the end, surprises everybody who sent one first.
func (o *receiveOptions) begin(cmd *cobra.Command, q *queueCommand) error {
	if o.from.value != "start" {
		return nil
	}
	return q.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
		listed, err := listGroups(ctx, adm, nil, nil)
		if err != nil {
			return err
		}
		for _, one := range listed {
			if one.Group == o.group {
				if one.Type != shareGroup {
					return fmt.Errorf("group %q is a %s group: name another with --group", o.group, one.Type)
				}
				return nil
			}
		}
		change := configChange{set: keyValues{{"share.auto.offset.reset", "earliest"}}}
		outcomes, err := change.apply(ctx, adm, []resource{{kmsg.ConfigResourceTypeGroupConfig, o.group}})
		if err != nil {
			return err
		}
		if outcomes[0].Error != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "rafka: group %s begins with what comes from now on: %s\n", o.group, outcomes[0].Error)
		}
		return nil
	})
}
