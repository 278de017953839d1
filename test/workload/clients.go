package workload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// client are the options of all clients.
func (w *World) client(more ...kgo.Opt) []kgo.Opt {
	opts := []kgo.Opt{kgo.SeedBrokers(w.Addrs...)}
	if w.Dial != nil {
		// A broker that is cut off says nothing: a client that waits for it waits for its own time-outs, which are long by default.
		opts = append(opts, kgo.Dialer(w.Dial), kgo.RequestTimeoutOverhead(2*time.Second))
	}
	return append(opts, more...)
}

// patient are the options of clients that go on through restarts.
func (w *World) patient(more ...kgo.Opt) []kgo.Opt {
	return append(w.client(kgo.RecordRetries(1<<30), kgo.UnknownTopicRetries(-1), kgo.RetryTimeout(30*time.Second),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }), kgo.MetadataMinAge(50*time.Millisecond), kgo.ProduceRequestTimeout(5*time.Second)), more...)
}

// admin runs fn with a client of its own.
func (w *World) admin(fn func(ctx context.Context, adm *kadm.Client, cl *kgo.Client) error) error {
	cl, err := kgo.NewClient(w.client(kgo.RetryTimeout(5 * time.Second))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return fn(ctx, kadm.NewClient(cl), cl)
}

// setGroup sets settings of a group.
func setGroup(ctx context.Context, cl *kgo.Client, group string, settings map[string]string) error {
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	for k, v := range settings {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value = k, &v
		r.Configs = append(r.Configs, c)
	}
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	q.Resources = append(q.Resources, r)
	a, err := q.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(a.Resources[0].ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("settings of %s: %w", group, err)
	}
	return nil
}

// lag is how many records of a topic the group has not committed; -1 while that cannot be told.
func (w *World) lag(group, topic string) (n int64) {
	err := w.admin(func(ctx context.Context, adm *kadm.Client, _ *kgo.Client) error {
		ends, err := adm.ListCommittedOffsets(ctx, topic)
		if err != nil {
			return err
		}
		committed, err := adm.FetchOffsets(ctx, group)
		if err != nil {
			return err
		}
		return errors.Join(ends.Error(), func() (err error) {
			ends.Each(func(end kadm.ListedOffset) {
				at, _ := committed.Lookup(topic, end.Partition)
				err = errors.Join(err, at.Err)
				n += end.Offset - max(at.At, 0)
			})
			return err
		}())
	})
	if err != nil {
		return -1
	}
	return n
}

// readAll reads the partitions of a topic at read_committed from their beginnings up to where their ends were at the call. A transaction that was
// left open there is waited for.
func (w *World) readAll(topic string, visit func(*kgo.Record)) error {
	ends, err := w.ends(topic)
	if err != nil {
		return fmt.Errorf("ends of %s: %w", topic, err)
	}
	assign := map[int32]kgo.Offset{}
	for p := range ends {
		assign[p] = kgo.NewOffset().AtStart()
	}
	// Control records tell how far a partition has been read that ends with a marker.
	cl, err := kgo.NewClient(w.patient(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: assign}), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), kgo.FetchMaxWait(300*time.Millisecond))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for len(ends) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return fmt.Errorf("read %s, of which %v are left: %w", topic, ends, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset+1 >= ends[r.Partition] {
				delete(ends, r.Partition)
			}
			if !r.Attrs.IsControl() {
				visit(r)
			}
		})
	}
	return nil
}

// ends are where the partitions of a topic end that are not empty. A leader that has just been elected does not know yet, and is asked again.
func (w *World) ends(topic string) (ends map[int32]int64, err error) {
	for end := time.Now().Add(w.Patience); ; time.Sleep(20 * time.Millisecond) {
		ends = map[int32]int64{}
		err = w.admin(func(ctx context.Context, adm *kadm.Client, _ *kgo.Client) error {
			listed, err := adm.ListEndOffsets(ctx, topic)
			listed.Each(func(end kadm.ListedOffset) {
				err = errors.Join(err, end.Err)
				if end.Offset > 0 {
					ends[end.Partition] = end.Offset
				}
			})
			return err
		})
		if err == nil || time.Now().After(end) {
			return ends, err
		}
	}
}
