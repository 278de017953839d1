package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// verifyCommand is `rafka verify`.
type verifyCommand struct {
	connection
	output
	http       string
	partitions []int32
	deep       bool
}

// verifyView is what the verb found.
type verifyView struct {
	Partitions int               `json:"partitions"`
	Equal      int               `json:"equal"`
	Different  int               `json:"different"`
	Incomplete int               `json:"incomplete"` // equal as far as could be compared; some replica could not be
	Bytes      int64             `json:"bytes"`      // that all replicas have read
	Details    []verifyPartition `json:"details"`
}

type verifyPartition struct {
	Topic        string          `json:"topic"`
	Partition    int32           `json:"partition"`
	From         int64           `json:"from"`
	To           int64           `json:"to"` // compared up to here, excluded
	OnlyVerified int64           `json:"only_verified_below,omitempty"`
	Brokers      []int32         `json:"broker_ids"` // whose replicas were compared
	Missing      []verifyMissing `json:"missing,omitempty"`
	Differences  []difference    `json:"differences,omitempty"`
	bytes        int64
}

type verifyMissing struct {
	Broker int32  `json:"broker_id"`
	Why    string `json:"why"`
}

func newVerifyCommand(getenv func(string) string) *cobra.Command {
	v := &verifyCommand{connection: connection{getenv: getenv}}
	cmd := &cobra.Command{
		Use:   "verify [TOPIC...]",
		Short: "Compare what the replicas of topics hold on their disks; exit 1 if something differs",
		Long: `Compare what the replicas of topics hold on their disks, batch by batch up to the high watermark; without a topic, of all. Exit 1 if
something differs or a replica could not be compared.

Each broker reads its own files and sends checksums to the one that compares. Who is bad is told by the first of these rules that says anything:

  checksum  the records of a batch do not match its own checksum: bit rot. The broker mends that by itself from another replica
  majority  more than half of the replicas hold something else
  leader    the leader holds something else; consumers have read what the leader has

What compaction has been over is not compared, since each replica compacts for itself, but every batch's own checksum is verified. A replica that is
behind is compared as far as it is. The brokers' HTTP door is asked (--http); one broker's is enough.`,
		Example: `  rafka verify
  rafka verify orders payments --deep
  rafka verify orders --partition 3 -o json`,
		Args: arguments(0, -1, "[TOPIC...]"),
		RunE: func(cmd *cobra.Command, topics []string) error {
			return v.withPatience(cmd.Context(), func(ctx context.Context, adm *admin) error {
				view, err := v.run(ctx, adm, topics, cmd.ErrOrStderr())
				if err != nil {
					return err
				}
				if err := v.print(cmd.OutOrStdout(), view, func(t *table) { printVerify(t, view) }); err != nil {
					return err
				}
				return view.verdict()
			})
		},
		ValidArgsFunction: v.completeTopics,
	}
	v.connection.register(cmd)
	v.output.register(cmd)
	cmd.Flags().StringVar(&v.http, "http", "", httpHelp)
	cmd.Flags().Int32SliceVar(&v.partitions, "partition", nil, "only these partitions")
	cmd.Flags().BoolVar(&v.deep, "deep", false, "compare SHA-256 of all bytes instead of the batches' CRC-32C; takes more of the processors")
	return cmd
}

func (v *verifyCommand) run(ctx context.Context, adm *admin, topics []string, notes io.Writer) (*verifyView, error) {
	wanted, err := v.wanted(ctx, adm, topics)
	if err != nil {
		return nil, err
	}
	door, err := v.door(ctx, adm)
	if err != nil {
		return nil, err
	}
	view := &verifyView{Partitions: len(wanted), Details: []verifyPartition{}}
	show := newShow(notes)
	defer show.end()
	for i, p := range wanted {
		d := verifyPartition{Topic: p.Topic, Partition: p.Partition}
		for first := true; ; first = false {
			show.tell(progress{done: i, total: len(wanted), what: "partitions compared", more: fmt.Sprintf("%s/%d at offset %d, %s read", p.Topic, p.Partition, d.To, bytesText(view.Bytes+d.bytes))})
			c, err := door.compare(ctx, p.Topic, p.Partition, d.To, v.deep)
			if err != nil {
				return nil, fmt.Errorf("%s/%d: %w", p.Topic, p.Partition, err)
			}
			d.take(c, first)
			if c.Next >= c.End || c.Next <= c.From {
				break
			}
		}
		view.Bytes += d.bytes
		switch {
		case len(d.Differences) > 0:
			view.Different++
		case len(d.Missing) > 0:
			view.Incomplete++
		default:
			view.Equal++
		}
		view.Details = append(view.Details, d)
	}
	return view, nil
}

// wanted are the partitions to compare. A topic or partition that was named and is not there is an error.
func (v *verifyCommand) wanted(ctx context.Context, adm *admin, topics []string) (list []kadm.PartitionDetail, err error) {
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	m, err := adm.Metadata(ctx, topics...)
	if err != nil {
		return nil, err
	}
	for _, t := range m.Topics.Sorted() {
		if t.Err != nil {
			return nil, fmt.Errorf("topic %s: %w", t.Topic, t.Err)
		}
		for _, p := range t.Partitions.Sorted() {
			if len(v.partitions) == 0 || slices.Contains(v.partitions, p.Partition) {
				list = append(list, p)
			}
		}
	}
	if len(list) == 0 && len(v.partitions) > 0 {
		return nil, fmt.Errorf("there is no such partition: %v", v.partitions)
	}
	return list, nil
}

// take adds one step of a comparison.
func (d *verifyPartition) take(c *comparison, first bool) {
	d.To, d.OnlyVerified = max(c.Next, d.To), max(d.OnlyVerified, c.OnlyVerified)
	d.Differences = append(d.Differences, c.Differences...)
	start := int64(-1)
	for _, r := range c.Replicas {
		d.bytes += r.Bytes
		if r.Missing == "" {
			if start < 0 || r.Start < start {
				start = r.Start
			}
			if !slices.Contains(d.Brokers, r.Broker) {
				d.Brokers = append(d.Brokers, r.Broker)
			}
			if r.End < c.Next {
				d.miss(r.Broker, fmt.Sprintf("it is behind: its log ends at offset %d", r.End))
			}
			continue
		}
		d.miss(r.Broker, r.Missing)
	}
	if first {
		d.From = max(start, 0)
	}
	if d.OnlyVerified <= d.From {
		d.OnlyVerified = 0
	}
	slices.Sort(d.Brokers)
}

// miss notes a replica that could not be compared, once.
func (d *verifyPartition) miss(broker int32, why string) {
	if !slices.ContainsFunc(d.Missing, func(m verifyMissing) bool { return m.Broker == broker }) {
		d.Missing = append(d.Missing, verifyMissing{broker, why})
	}
}

// verdict is an error unless everything was compared and is equal.
func (v *verifyView) verdict() error {
	switch {
	case v.Different > 0:
		return fmt.Errorf("replicas of %d of %d partitions differ", v.Different, v.Partitions)
	case v.Incomplete > 0:
		return fmt.Errorf("nothing differs, but not every replica of %d of %d partitions could be compared", v.Incomplete, v.Partitions)
	}
	return nil
}

func printVerify(t *table, v *verifyView) {
	if v.Different+v.Incomplete > 0 {
		t.row("PARTITION", "OFFSETS", "BAD", "WHAT")
	}
	for _, p := range v.Details {
		name := fmt.Sprintf("%s/%d", p.Topic, p.Partition)
		for _, d := range p.Differences {
			t.row(name, span(d.From, d.To), "broker "+numbers(d.Bad), d.says())
		}
		for _, m := range p.Missing {
			t.row(name, "-", "-", fmt.Sprintf("broker %d was not compared: %s", m.Broker, m.Why))
		}
	}
	t.gap()
	t.row(fmt.Sprintf("%d partitions: %d equal, %d different, %d not wholly compared; %s read", v.Partitions, v.Equal, v.Different, v.Incomplete, bytesText(v.Bytes)))
}

// says is in words what is wrong and how that is known.
func (d difference) says() string {
	switch d.Rule {
	case "checksum":
		return "does not match its own checksum: bit rot (" + d.Where + ")"
	case "majority":
		return "most replicas hold something else"
	}
	return "the leader holds something else, and no majority agrees"
}

func span(from, to int64) string {
	if from == to {
		return fmt.Sprint(from)
	}
	return fmt.Sprintf("%d-%d", from, to)
}

func numbers(list []int32) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = fmt.Sprint(n)
	}
	return strings.Join(words, ", ")
}
