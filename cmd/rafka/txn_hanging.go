package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// openTxn is a transaction that a partition has open.
type openTxn struct {
	Topic            string  `json:"topic"`
	Partition        int32   `json:"partition"`
	ProducerID       int64   `json:"producer_id"`
	ProducerEpoch    int16   `json:"producer_epoch"`
	CoordinatorEpoch int32   `json:"coordinator_epoch"`
	StartOffset      int64   `json:"start_offset"`
	IdleSeconds      float64 `json:"idle_seconds"` // since the producer wrote last
	ID               string  `json:"transactional_id,omitempty"`
	Why              string  `json:"why,omitempty"` // it hangs
}

// hangingSearch says where and for what to look.
type hangingSearch struct {
	topics    []string
	olderThan time.Duration
}

func (t *txnCommand) listHanging(ctx context.Context, cmd *cobra.Command, adm *admin, s hangingSearch) error {
	hanging, err := findHanging(ctx, adm, s, t.now())
	if err != nil {
		return err
	}
	return t.print(cmd.OutOrStdout(), hanging, func(tb *table) {
		tb.row("TOPIC", "PARTITION", "PRODUCER-ID", "PRODUCER-EPOCH", "COORDINATOR-EPOCH", "START-OFFSET", "IDLE", "WHY")
		for _, h := range hanging {
			tb.row(h.Topic, h.Partition, h.ProducerID, h.ProducerEpoch, h.CoordinatorEpoch, h.StartOffset, secondsText(&h.IdleSeconds), h.Why)
		}
	})
}

// findHanging looks at the partitions, then at the coordinators, then at the partitions again: a transaction that ended in between was in
// good hands.
func findHanging(ctx context.Context, adm *admin, s hangingSearch, now time.Time) ([]openTxn, error) {
	open, err := openTransactions(ctx, adm, s.topics, now)
	if err != nil {
		return nil, err
	}
	hanging := slices.DeleteFunc(open, func(o openTxn) bool { return o.IdleSeconds < s.olderThan.Seconds() })
	if hanging, err = judge(ctx, adm, hanging); err != nil || len(hanging) == 0 {
		return []openTxn{}, err
	}
	again, err := openTransactions(ctx, adm, s.topics, now)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(hanging, func(h openTxn) bool {
		return !slices.ContainsFunc(again, func(o openTxn) bool {
			return o.Topic == h.Topic && o.Partition == h.Partition && o.ProducerID == h.ProducerID && o.ProducerEpoch == h.ProducerEpoch && o.StartOffset == h.StartOffset
		})
	}), nil
}

// openTransactions asks the leaders of the topics' partitions (of all, if none is named) what they have open, oldest first.
func openTransactions(ctx context.Context, adm *admin, topics []string, now time.Time) ([]openTxn, error) {
	details, err := loadTopics(ctx, adm, topics...)
	if err != nil {
		return nil, err
	}
	set := make(kadm.TopicsSet)
	for _, d := range details {
		for _, p := range d.Partitions.Numbers() {
			set.Add(d.Topic, p)
		}
	}
	if len(set) == 0 {
		return nil, nil
	}
	described, err := adm.DescribeProducers(ctx, set)
	if err != nil {
		return nil, err
	}
	var open []openTxn
	for _, p := range described.SortedPartitions() {
		if p.Err != nil {
			return nil, fmt.Errorf("producers of %s/%d: %w", p.Topic, p.Partition, describe(p.Err, p.ErrMessage))
		}
		for _, one := range p.ActiveProducers.Sorted() {
			if one.CurrentTxnStartOffset < 0 {
				continue
			}
			open = append(open, openTxn{
				Topic: p.Topic, Partition: p.Partition, ProducerID: one.ProducerID, ProducerEpoch: one.ProducerEpoch, CoordinatorEpoch: one.CoordinatorEpoch,
				StartOffset: one.CurrentTxnStartOffset, IdleSeconds: max(0, now.Sub(time.UnixMilli(one.LastTimestamp))).Seconds(),
			})
		}
	}
	slices.SortStableFunc(open, func(a, b openTxn) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.StartOffset, b.StartOffset))
	})
	return open, nil
}

// judge keeps the transactions that hang, with the reason.
func judge(ctx context.Context, adm *admin, open []openTxn) (hanging []openTxn, err error) {
	known, err := coordinatorsView(ctx, adm, open)
	if err != nil {
		return nil, err
	}
	for _, o := range open {
		d, ok := known[o.ProducerID]
		if ok {
			o.ID = d.TxnID
		}
		if o.Why = whyHanging(o, d, ok); o.Why != "" {
			hanging = append(hanging, o)
		}
	}
	return hanging, nil
}

// coordinatorsView is what coordinators say of the transactions of these producers, by producer id.
func coordinatorsView(ctx context.Context, adm *admin, open []openTxn) (map[int64]kadm.DescribedTransaction, error) {
	known := make(map[int64]kadm.DescribedTransaction)
	if len(open) == 0 {
		return known, nil
	}
	var producers []int64
	for _, o := range open {
		producers = append(producers, o.ProducerID)
	}
	slices.Sort(producers)
	listed, err := adm.ListTransactions(ctx, slices.Compact(producers), nil)
	if err != nil || len(listed) == 0 {
		return known, err
	}
	described, err := adm.DescribeTransactions(ctx, listed.TransactionalIDs()...)
	if err != nil {
		return nil, err
	}
	for _, d := range described {
		if d.Err == nil {
			known[d.ProducerID] = d
		}
	}
	return known, nil
}

// whyHanging says why nobody will end an open transaction, "" if its coordinator will. d is what the coordinator says, if one knows the producer.
func whyHanging(o openTxn, d kadm.DescribedTransaction, known bool) string {
	switch {
	case !known:
		return "no coordinator knows the producer"
	case d.ProducerEpoch > o.ProducerEpoch+1, d.ProducerEpoch > o.ProducerEpoch && d.State == "Ongoing":
		// One more is the epoch with which the coordinator ends a transaction.
		return fmt.Sprintf("%s has epoch %d by now", d.TxnID, d.ProducerEpoch)
	}
	switch d.State {
	case "Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence":
		if _, ok := d.Topics[o.Topic][o.Partition]; ok {
			return ""
		}
		return fmt.Sprintf("the transaction of %s (%s) is without this partition", d.TxnID, d.State)
	}
	return fmt.Sprintf("the transaction of %s is over (%s)", d.TxnID, d.State)
}
