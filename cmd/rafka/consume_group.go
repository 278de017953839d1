package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
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
	noted := false // of this outage
	for printed := int64(0); o.limit == 0 || printed < o.limit; cl.AllowRebalance() {
		most := int64(10_000)
		if o.limit > 0 {
			most = min(most, o.limit-printed)
		}
		fetches := cl.PollRecords(ctx, int(most))
		if ctx.Err() != nil {
			return nil // interrupted: what was printed is whole, and committed
		}
		var outage error
		if err := fetchErrorBut(fetches, func(err error) bool {
			if passes(err) {
				outage = err
				return true
			}
			return false
		}); err != nil {
			return err
		}
		if outage != nil && !noted {
			o.note("the group cannot be reached now, trying again: %v", outage)
		}
		records := fetches.Records()
		noted = outage != nil || noted && len(records) == 0
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

// passes reports whether err is trouble with the group that the client goes on to overcome: its coordinator has died, say, and another one takes over.
func passes(err error) bool {
	var session *kgo.ErrGroupSession
	var network *net.OpError
	return errors.As(err, &session) && (errors.As(err, &network) || errors.Is(err, io.EOF) || kgo.IsRetryableBrokerErr(session.Err) || kerr.IsRetriable(session.Err))
}
