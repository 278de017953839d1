package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// listedTxn is what a coordinator's list says of a transactional id.
type listedTxn struct {
	ID          string `json:"transactional_id"`
	Coordinator int32  `json:"coordinator"`
	ProducerID  int64  `json:"producer_id"`
	State       string `json:"state"`
}

// txnFilter says which transactions to list; zero fields let everything through.
type txnFilter struct {
	states    []string
	producers []int64
	longer    time.Duration // open for longer than this
	pattern   string
}

func newTxnList(t *txnCommand) *cobra.Command {
	var filter txnFilter
	var hanging bool
	var search hangingSearch
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List transactions, or those that hang",
		Long: `List the transactional ids that coordinators know, with the state of the last transaction of each.

States: Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort, PrepareEpochFence, Dead.

--hanging finds transactions that will never end: partitions have them open, but no coordinator knows of them, or their coordinator says
that they are over. They hold back consumers with read_committed and keep a compacted topic from being compacted. It looks at all topics,
or at those of --topic, and only at transactions that have not written for --older-than, which must be longer than any transaction may
take (transaction.max.timeout.ms): a younger one may have just begun. "rafka txn abort" ends what it finds.`,
		Example: `  rafka txn list --states Ongoing --duration 1m
  rafka txn list --hanging
  rafka txn list --hanging --topic orders --older-than 1h`,
		Args: refuseArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filtered := filter.longer != 0 || filter.pattern != "" || len(filter.states)+len(filter.producers) > 0
			switch {
			case hanging && filtered:
				return usagef("--hanging takes --topic and --older-than and no other filter")
			case !hanging && (len(search.topics) > 0 || cmd.Flags().Changed("older-than")):
				return usagef("--topic and --older-than go with --hanging")
			case filter.longer < 0 || search.olderThan < 0:
				return usagef("a duration must not be negative")
			}
			return t.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				if hanging {
					return t.listHanging(ctx, cmd, adm, search)
				}
				listed, err := listTransactions(ctx, adm, filter)
				if err != nil {
					return err
				}
				return t.print(cmd.OutOrStdout(), listed, func(tb *table) {
					tb.row("TRANSACTIONAL-ID", "COORDINATOR", "PRODUCER-ID", "STATE")
					for _, one := range listed {
						tb.row(one.ID, one.Coordinator, one.ProducerID, one.State)
					}
				})
			})
		},
	}
	f := cmd.Flags()
	f.StringSliceVarP(&filter.states, "states", "s", nil, "only transactions in one of these states")
	f.Int64SliceVar(&filter.producers, "producer-ids", nil, "only transactions of these producers")
	f.DurationVarP(&filter.longer, "duration", "d", 0, "only transactions that have been open for longer")
	f.StringVar(&filter.pattern, "pattern", "", "only transactional ids that this regular expression matches as a whole (Kafka 4.1 and later)")
	f.BoolVar(&hanging, "hanging", false, "find open transactions that nobody will end")
	f.StringSliceVarP(&search.topics, "topic", "t", nil, "with --hanging: look only at these topics")
	f.DurationVar(&search.olderThan, "older-than", 15*time.Minute, "with --hanging: only transactions that have not written for this long")
	// The error means that the flag does not exist.
	_ = cmd.RegisterFlagCompletionFunc("topic", t.completeTopics)
	return cmd
}

// listTransactions asks every broker, which kadm cannot do with a filter by duration. Sorted by id. A broker that is too old for a filter
// would leave it out and list everything; that is an error here.
func listTransactions(ctx context.Context, adm *admin, f txnFilter) ([]listedTxn, error) {
	req := kmsg.NewPtrListTransactionsRequest()
	req.StateFilters, req.ProducerIDFilters = f.states, f.producers
	if f.longer > 0 {
		req.DurationFilterMillis = f.longer.Milliseconds()
	}
	if f.pattern != "" {
		req.TransactionalIDPattern = &f.pattern
	}
	listed := []listedTxn{}
	for _, shard := range adm.raw.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		resp := shard.Resp.(*kmsg.ListTransactionsResponse)
		switch err := kerr.ErrorForCode(resp.ErrorCode); {
		case err != nil:
			return nil, err
		case len(resp.UnknownStateFilters) > 0:
			return nil, fmt.Errorf("the broker knows no state %s; `rafka txn list --help` lists them", strings.Join(resp.UnknownStateFilters, ", "))
		case f.longer > 0 && resp.Version < 1, f.pattern != "" && resp.Version < 2:
			return nil, fmt.Errorf("broker %d is too old for --duration or --pattern", shard.Meta.NodeID)
		}
		for _, one := range resp.TransactionStates {
			listed = append(listed, listedTxn{one.TransactionalID, shard.Meta.NodeID, one.ProducerID, one.TransactionState})
		}
	}
	slices.SortFunc(listed, func(a, b listedTxn) int { return strings.Compare(a.ID, b.ID) })
	return listed, nil
}
