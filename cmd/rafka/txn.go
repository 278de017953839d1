package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

// txnCommand is what the verbs under `txn` share.
type txnCommand struct {
	connection
	output
	now func() time.Time
}

func newTxnCommand(getenv func(string) string) *cobra.Command {
	cmd := group("txn", "List, describe and abort transactions, and find those that hang")
	cmd.Aliases = []string{"transaction", "transactions"}
	t := &txnCommand{connection: connection{getenv: getenv}, now: time.Now}
	t.connection.register(cmd)
	t.output.register(cmd)
	cmd.AddCommand(newTxnList(t), newTxnDescribe(t), newTxnAbort(t))
	return cmd
}

// completeTransactions offers the cluster's transactional ids to the shell; as completeTopics, it keeps quiet when it cannot.
func (t *txnCommand) completeTransactions(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	quick := t.connection
	quick.timeout = min(t.timeout, 2*time.Second)
	var ids []string
	err := quick.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
		listed, err := adm.ListTransactions(ctx, nil, nil)
		ids = listed.TransactionalIDs()
		return err
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
