package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// explainCommand is what the verbs under `explain` share.
type explainCommand struct {
	connection
	output
	http string // HOST:PORT of a Rafka broker's HTTP door; "": those that the brokers tell of
	now  func() time.Time
}

// explanation is an answer in plain words.
type explanation struct {
	About     string     `json:"about"`
	Findings  []reason   `json:"findings"`
	Decisions []decision `json:"decisions,omitempty"` // of a Rafka broker
}

// reason is one sentence or a few about one thing.
type reason struct {
	Subject string `json:"subject,omitempty"` // a partition or member; empty: the whole
	Text    string `json:"text"`
}

func (e *explanation) say(subject, format string, args ...any) {
	e.Findings = append(e.Findings, reason{subject, fmt.Sprintf(format, args...)})
}

func newExplainCommand(getenv func(string) string) *cobra.Command {
	cmd := group("explain", "Say in plain words why something is as it is")
	cmd.Long = `Say in plain words why a group lags or rebalances, what holds the last stable offset of a topic, and why records are kept or gone.

It asks what any Kafka broker tells over the protocol. A Rafka broker also keeps its last decisions in memory and tells them over HTTP
(--http); they are left out where there is no such broker.`
	e := &explainCommand{connection: connection{getenv: getenv}, now: time.Now}
	e.connection.register(cmd)
	e.output.register(cmd)
	cmd.PersistentFlags().StringVar(&e.http, "http", "", httpHelp)
	cmd.AddCommand(newExplainLag(e), newExplainRebalance(e), newExplainLSO(e), newExplainRetention(e))
	return cmd
}

// verb makes a command that explains one group or topic. slow is how much longer than --timeout it may take.
func (e *explainCommand) verb(use, short, long string, slow func() time.Duration, fn func(ctx context.Context, adm *admin, name string) (*explanation, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long, Args: arguments(1, 1, "NAME"),
		RunE: func(cmd *cobra.Command, names []string) error {
			longer := e.connection
			longer.timeout += slow()
			return longer.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				x, err := fn(ctx, adm, names[0])
				if err != nil {
					return err
				}
				return e.print(cmd.OutOrStdout(), x, func(t *table) { printExplanation(t, x) })
			})
		},
	}
}

func atOnceOnly() time.Duration { return 0 }

func printExplanation(t *table, x *explanation) {
	for _, f := range x.Findings {
		if f.Subject == "" {
			t.row(f.Text)
		}
	}
	t.gap()
	for _, f := range x.Findings {
		if f.Subject != "" {
			t.row(f.Subject, f.Text)
		}
	}
	if len(x.Decisions) > 0 {
		t.section("DECISIONS OF THE BROKER")
		for _, d := range x.Decisions {
			t.row(d.At.UTC().Format("2006-01-02T15:04:05.000Z"), d.Text)
		}
	}
}
