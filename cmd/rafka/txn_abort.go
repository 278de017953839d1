package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// abortOptions say which transaction of which partition.
type abortOptions struct {
	topic            string
	partition        int32
	startOffset      int64 // -1: not given
	producerID       int64 // -1: not given
	producerEpoch    int16
	coordinatorEpoch int32
	force, dryRun    bool
}

func newTxnAbort(t *txnCommand) *cobra.Command {
	o := abortOptions{}
	cmd := &cobra.Command{
		Use:   "abort [TRANSACTIONAL-ID]",
		Short: "Abort a transaction",
		Long: `Abort a transaction.

With a transactional id, its coordinator aborts what it has open and fences the producer, as a new producer with that id would.

With --topic and --partition, the marker that ends a hanging transaction is written into that partition; the transaction is named by the
offset it starts at, or by its producer, as "rafka txn list --hanging" prints them. A transaction that is in its coordinator's good hands
is refused, because its producer could commit the other partitions: abort it by its id, or add --force.`,
		Example: `  rafka txn abort billing-1
  rafka txn abort --topic orders --partition 0 --start-offset 1042
  rafka txn abort --topic orders --partition 0 --producer-id 7 --producer-epoch 3`,
		Args: arguments(0, 1, "[TRANSACTIONAL-ID]"),
		RunE: func(cmd *cobra.Command, ids []string) error {
			changed := cmd.Flags().Changed
			byPartition := changed("topic") || changed("partition") || changed("start-offset") || changed("producer-id")
			switch {
			case len(ids) == 1 && byPartition, len(ids) == 0 && !byPartition:
				return usagef("name the transaction: either its TRANSACTIONAL-ID, or --topic, --partition and --start-offset or --producer-id")
			case byPartition && (o.topic == "" || o.partition < 0):
				return usagef("--topic and --partition say where the transaction is open")
			case byPartition && (o.startOffset < 0) == (o.producerID < 0):
				return usagef("name the transaction by --start-offset or by --producer-id")
			}
			return t.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				if len(ids) == 1 {
					return t.abortByID(ctx, cmd, adm, ids[0], o.dryRun)
				}
				return t.abortIn(ctx, cmd, adm, &o, changed("producer-epoch"), changed("coordinator-epoch"))
			})
		},
		ValidArgsFunction: t.completeTransactions,
	}
	f := cmd.Flags()
	f.StringVarP(&o.topic, "topic", "t", "", "topic with the hanging transaction")
	f.Int32VarP(&o.partition, "partition", "p", -1, "its partition")
	f.Int64Var(&o.startOffset, "start-offset", -1, "offset at which the transaction starts")
	f.Int64Var(&o.producerID, "producer-id", -1, "producer of the transaction")
	f.Int16Var(&o.producerEpoch, "producer-epoch", 0, "its epoch (default: as the partition has it)")
	f.Int32Var(&o.coordinatorEpoch, "coordinator-epoch", 0, "epoch of the coordinator (default: as the partition has it)")
	f.BoolVar(&o.force, "force", false, "abort it although its coordinator knows it as open")
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "show what would be aborted")
	// The error means that the flag does not exist.
	_ = cmd.RegisterFlagCompletionFunc("topic", t.completeTopics)
	return cmd
}

// abortByID has the coordinator fence the producer as if a new one came, which aborts what is open.
func (t *txnCommand) abortByID(ctx context.Context, cmd *cobra.Command, adm *admin, id string, dryRun bool) error {
	v, err := loadTransaction(ctx, adm, id, t.now()) // InitProducerID would make an id that does not exist
	if err != nil {
		return err
	}
	oc := outcome{Name: id, Status: "would be aborted"}
	if v.State != "Ongoing" {
		oc.Status = "not open (" + v.State + ")"
		return t.printOutcomes(cmd.OutOrStdout(), "transaction", []outcome{oc})
	}
	if dryRun {
		return t.printOutcomes(cmd.OutOrStdout(), "transaction", []outcome{oc})
	}
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = &id, max(1, int32(v.TimeoutSeconds*1000))
	resp, err := req.RequestWith(ctx, adm.raw)
	if err != nil {
		return err
	}
	oc.Status = "aborted"
	// A coordinator that waits for markers answers that another operation is under way: ours.
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil && err != kerr.ConcurrentTransactions {
		oc.Status, oc.Error = "failed", describedText(err, "")
	}
	return t.printOutcomes(cmd.OutOrStdout(), "transaction", []outcome{oc})
}

// abortIn writes an abort marker into one partition.
func (t *txnCommand) abortIn(ctx context.Context, cmd *cobra.Command, adm *admin, o *abortOptions, hasEpoch, hasCoordinatorEpoch bool) error {
	open, err := openTransactions(ctx, adm, []string{o.topic}, t.now())
	if err != nil {
		return err
	}
	var found *openTxn
	for i := range open {
		if one := &open[i]; one.Partition == o.partition && (one.StartOffset == o.startOffset || one.ProducerID == o.producerID) {
			found = one
		}
	}
	if found == nil {
		return fmt.Errorf("%s/%d has no such transaction open; `rafka explain lso %s` shows what is", o.topic, o.partition, o.topic)
	}
	if hasEpoch {
		found.ProducerEpoch = o.producerEpoch
	}
	if hasCoordinatorEpoch {
		found.CoordinatorEpoch = o.coordinatorEpoch
	}
	if !o.force {
		hanging, err := judge(ctx, adm, []openTxn{*found})
		if err != nil {
			return err
		}
		if len(hanging) == 0 {
			return fmt.Errorf("the transaction of producer %d is in its coordinator's hands and not over: abort it by its transactional id, or add --force", found.ProducerID)
		}
	}
	oc := outcome{Name: fmt.Sprintf("%s/%d@%d", found.Topic, found.Partition, found.StartOffset), Status: "would be aborted"}
	if !o.dryRun {
		oc.Status = "aborted"
		if err := writeAbort(ctx, adm, found); err != nil {
			oc.Status, oc.Error = "failed", describedText(err, "")
		}
	}
	return t.printOutcomes(cmd.OutOrStdout(), "transaction", []outcome{oc})
}

func writeAbort(ctx context.Context, adm *admin, o *openTxn) error {
	set := make(kadm.TopicsSet)
	set.Add(o.Topic, o.Partition)
	answers, err := adm.WriteTxnMarkers(ctx, kadm.TxnMarkers{
		// A partition that has seen no marker of the producer knows no coordinator epoch; any is new to it.
		ProducerID: o.ProducerID, ProducerEpoch: o.ProducerEpoch, CoordinatorEpoch: max(0, o.CoordinatorEpoch), Topics: set,
	})
	if err != nil {
		return err
	}
	a, ok := answers[o.ProducerID].Topics[o.Topic].Partitions[o.Partition]
	if !ok {
		return kerr.UnknownServerError
	}
	return a.Err
}
