package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/cmd/rafka/internal/receiver"
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
	write           messageWriter
	unsettled       error // the first settlement that failed
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

// messageWriter prints one message.
type messageWriter func(out *bufio.Writer, m *receiver.Message) error

// newMessageWriter reads --format of queue verbs: the same words as consume's, with the count of deliveries.
func newMessageWriter(format string) (messageWriter, error) {
	var write func(view func(*kgo.Record) any) recordWriter
	switch format {
	case "text":
		write = func(view func(*kgo.Record) any) recordWriter { return writeJSON(view, "  ") }
	case "json":
		write = func(view func(*kgo.Record) any) recordWriter { return writeJSON(view, "") }
	case "yaml":
		write = writeYAML
	default:
		plain, err := newRecordWriter(format, `\n`, false)
		return func(out *bufio.Writer, m *receiver.Message) error { return plain(out, m.Record) }, err
	}
	return func(out *bufio.Writer, m *receiver.Message) error {
		return write(func(r *kgo.Record) any { return queuedView{viewRecord(r).(recordView), m.Deliveries} })(out, m.Record)
	}, nil
}

// settle tells brokers what becomes of messages, though the verb was interrupted meanwhile. What fails is said at once, and at the end by the
// exit code; a worker goes on, since a broker that is lost takes the hold on a message along and nothing else.
func (o *receiveOptions) settle(ctx context.Context, from *receiver.Receiver, cmd *cobra.Command, status receiver.Status, messages ...*receiver.Message) {
	err := from.Settle(context.WithoutCancel(ctx), status, messages...)
	if err == nil {
		return
	}
	if errors.Is(err, kerr.InvalidRecordState) {
		err = fmt.Errorf("%w: the message was held too long, and is with another receiver by now (share.record.lock.duration.ms)", err)
	}
	err = explainReceiver(err)
	fmt.Fprintf(cmd.ErrOrStderr(), "rafka: %v\n", err)
	if o.unsettled == nil {
		o.unsettled = err
	}
}

// explainReceiver is explain, but what a broker refuses keeps the words that say of which message it speaks.
func explainReceiver(err error) error {
	var refused *kerr.Error
	if errors.As(err, &refused) {
		return err
	}
	return explain(err)
}

// run receives until the count is reached, nothing comes, or it is interrupted.
func (o *receiveOptions) run(cmd *cobra.Command, q *queueCommand) error {
	ctx := cmd.Context()
	if err := o.begin(cmd, q); err != nil {
		return err
	}
	cl, err := q.open(ctx, receiver.Options()...)
	if err != nil {
		return err
	}
	defer cl.Close()
	joinCtx, cancel := ctx, context.CancelFunc(func() {})
	if o.wait > 0 {
		joinCtx, cancel = context.WithTimeout(ctx, max(o.wait, q.timeout))
	}
	from, err := receiver.Join(joinCtx, cl, o.group, o.topics, q.timeout)
	cancel()
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return explainReceiver(err)
	}
	out := bufio.NewWriterSize(cmd.OutOrStdout(), 64<<10)
	received, err := o.receive(ctx, from, cmd, out)
	closeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.timeout)
	defer cancel()
	_ = from.Close(closeCtx) // everything is settled; a broker that does not hear of the end sees the connections close
	err = firstError(err, out.Flush(), o.unsettled)
	if err == nil && received == 0 && o.count > 0 && ctx.Err() == nil {
		err = fmt.Errorf("no message came within %s", o.wait)
	}
	return err
}

// receive takes and settles.
func (o *receiveOptions) receive(ctx context.Context, from *receiver.Receiver, cmd *cobra.Command, out *bufio.Writer) (received int64, err error) {
	most := int64(500)
	if o.exec != "" {
		most = 1 // what waits behind a running command is better in the hands of another receiver
	}
	for o.count == 0 || received < o.count {
		if o.count > 0 {
			most = min(most, o.count-received)
		}
		takeCtx, cancel := ctx, context.CancelFunc(func() {})
		if o.wait > 0 {
			takeCtx, cancel = context.WithTimeout(ctx, o.wait)
		}
		messages, err := from.Take(takeCtx, int(most))
		cancel()
		switch {
		case err != nil:
			return received, explainReceiver(err)
		case len(messages) == 0:
			return received, nil
		case o.exec != "":
			err = o.runEach(ctx, from, cmd, messages)
		default:
			err = o.printEach(ctx, from, cmd, out, messages)
		}
		received += int64(len(messages))
		if err != nil || ctx.Err() != nil {
			return received, err
		}
	}
	return received, nil
}

// printEach prints messages and settles them once they are out.
func (o *receiveOptions) printEach(ctx context.Context, from *receiver.Receiver, cmd *cobra.Command, out *bufio.Writer, messages []*receiver.Message) error {
	var err error
	for _, m := range messages {
		err = firstError(err, o.write(out, m))
	}
	err = firstError(err, out.Flush())
	status := receiver.Accept
	switch {
	case err != nil, o.release:
		status = receiver.Release
	case o.reject:
		status = receiver.Reject
	}
	o.settle(ctx, from, cmd, status, messages...)
	return err
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
