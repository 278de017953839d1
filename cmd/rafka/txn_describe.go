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

// txnView is all there is to say about a transaction.
type txnView struct {
	ID             string         `json:"transactional_id"`
	Coordinator    int32          `json:"coordinator"`
	State          string         `json:"state"`
	ProducerID     int64          `json:"producer_id"`
	ProducerEpoch  int16          `json:"producer_epoch"`
	TimeoutSeconds float64        `json:"timeout_seconds"`
	Started        string         `json:"started,omitempty"` // RFC 3339; empty: none is open
	OpenSeconds    float64        `json:"open_seconds,omitempty"`
	Partitions     []txnPartition `json:"partitions"`
}

// txnPartition is a partition that takes part.
type txnPartition struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	StartOffset *int64 `json:"start_offset"` // of the transaction's records; nil: none is written, or the leader does not tell
}

func newTxnDescribe(t *txnCommand) *cobra.Command {
	return &cobra.Command{
		Use:   "describe TRANSACTIONAL-ID...",
		Short: "Show the state, producer and partitions of transactions",
		Args:  arguments(1, -1, "TRANSACTIONAL-ID..."),
		RunE: func(cmd *cobra.Command, ids []string) error {
			return t.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				views := make([]*txnView, 0, len(ids))
				for _, id := range ids {
					v, err := loadTransaction(ctx, adm, id, t.now())
					if err != nil {
						return err
					}
					views = append(views, v)
				}
				return t.print(cmd.OutOrStdout(), views, func(tb *table) {
					for _, v := range views {
						printTransaction(tb, v)
					}
				})
			})
		},
		ValidArgsFunction: t.completeTransactions,
	}
}

func loadTransaction(ctx context.Context, adm *admin, id string, now time.Time) (*txnView, error) {
	all, err := adm.DescribeTransactions(ctx, id)
	if err != nil {
		return nil, err
	}
	d, err := all.On(id, func(d *kadm.DescribedTransaction) error { return d.Err })
	if err != nil {
		return nil, fmt.Errorf("transactional id %q: %w; `rafka txn list` shows what there is", id, describe(err, ""))
	}
	v := &txnView{
		ID: id, Coordinator: d.Coordinator, State: d.State, ProducerID: d.ProducerID, ProducerEpoch: d.ProducerEpoch,
		TimeoutSeconds: (time.Duration(d.TimeoutMillis) * time.Millisecond).Seconds(), Partitions: []txnPartition{},
	}
	if d.StartTimestamp > 0 {
		started := time.UnixMilli(d.StartTimestamp)
		v.Started, v.OpenSeconds = started.UTC().Format(time.RFC3339), max(0, now.Sub(started)).Seconds()
	}
	for _, topic := range d.Topics.Sorted() {
		for _, p := range topic.Partitions {
			v.Partitions = append(v.Partitions, txnPartition{Topic: topic.Topic, Partition: p})
		}
	}
	addTxnStarts(ctx, adm, v, d.Topics)
	slices.SortFunc(v.Partitions, func(a, b txnPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return v, nil
}

// addTxnStarts asks the leaders where the transaction's records begin. It is more than the coordinator knows, so an error is no failure.
func addTxnStarts(ctx context.Context, adm *admin, v *txnView, topics kadm.TopicsSet) {
	if len(topics) == 0 {
		return
	}
	described, err := adm.DescribeProducers(ctx, topics)
	if err != nil {
		return
	}
	for i := range v.Partitions {
		p := &v.Partitions[i]
		if one, ok := described[p.Topic].Partitions[p.Partition].ActiveProducers[v.ProducerID]; ok && one.CurrentTxnStartOffset >= 0 {
			p.StartOffset = &one.CurrentTxnStartOffset
		}
	}
}

func printTransaction(tb *table, v *txnView) {
	tb.section("TRANSACTION " + v.ID)
	tb.row("coordinator", v.Coordinator)
	tb.row("state", v.State)
	tb.row("producer", fmt.Sprintf("%d, epoch %d", v.ProducerID, v.ProducerEpoch))
	tb.row("timeout", spanText(time.Duration(v.TimeoutSeconds*float64(time.Second))))
	if v.Started != "" {
		tb.row("started", v.Started)
		tb.row("open for", secondsText(&v.OpenSeconds))
	}
	if len(v.Partitions) > 0 {
		tb.section("PARTITIONS")
		tb.row("TOPIC", "PARTITION", "START-OFFSET")
		for _, p := range v.Partitions {
			tb.row(p.Topic, p.Partition, orDash(p.StartOffset))
		}
	}
}
