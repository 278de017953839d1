package main

import (
	"bufio"
	"context"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/rafka-io/rafka/cmd/rafka/internal/offsetspec"
)

// asMember checks that the options make sense for a member of a group, whose partitions and offsets are the group's affair.
func (o *consumeOptions) asMember(offset string) error {
	switch {
	case len(o.partitions) > 0:
		return usagef("--partitions does not go with --group: the group deals them out")
	case o.exitAtEnd || o.reach.Stops():
		return usagef("--group goes on until --num records or an interrupt: leave out --exit-at-end and the end of --offset")
	case offset != "start" && offset != "end":
		return usagef("with --group, --offset says where a group begins that has committed nothing: start or end")
	}
	return nil
}

// runGroup reads as a member of a consumer group, and commits what was printed, when it was.
func (o *consumeOptions) runGroup(ctx context.Context, conn *connection, w io.Writer) error {
	begin := kgo.NewOffset().AtStart()
	if o.reach.From.Kind == offsetspec.End {
		begin = kgo.NewOffset().AtEnd()
	}
	opts := []kgo.Opt{
		kgo.ConsumerGroup(o.group), kgo.ConsumeTopics(o.topics...), kgo.ConsumeResetOffset(begin), kgo.DisableAutoCommit(),
		kgo.FetchIsolationLevel(o.isolation), kgo.FetchMaxWait(500 * time.Millisecond), kgo.BlockRebalanceOnPoll(),
	}
	if o.regex {
		opts = append(opts, kgo.ConsumeRegex())
	}
	cl, err := conn.open(ctx, opts...)
	if err != nil {
		return err
	}
	defer cl.CloseAllowingRebalance()
	if !o.regex {
		checkCtx, cancel := context.WithTimeout(ctx, conn.timeout)
		_, err := o.plan(checkCtx, newAdmin(cl)) // a group would wait for a topic that is not there
		cancel()
		if err != nil {
			return explain(err)
		}
	}
	out := bufio.NewWriterSize(w, 64<<10)
	for printed := int64(0); o.limit == 0 || printed < o.limit; cl.AllowRebalance() {
		most := int64(10_000)
		if o.limit > 0 {
			most = min(most, o.limit-printed)
		}
		fetches := cl.PollRecords(ctx, int(most))
		if ctx.Err() != nil {
			return nil // interrupted: what was printed is whole, and committed
		}
		if err := fetchError(fetches); err != nil {
			return err
		}
		records := fetches.Records()
		for _, r := range records {
			if err := o.write(out, r); err != nil {
				return err
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
		printed += int64(len(records))
		commitCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), conn.timeout)
		err := cl.CommitRecords(commitCtx, records...)
		cancel()
		if err != nil {
			return explain(err)
		}
	}
	return nil
}
