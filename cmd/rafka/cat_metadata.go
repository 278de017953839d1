package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

// runList is `cat -L`: kcat's text or, with -J, kcat's JSON.
func (o *catOptions) runList(ctx context.Context) error {
	return o.conn.withAdmin(ctx, func(ctx context.Context, adm *admin) error {
		m, err := adm.Metadata(ctx, o.topics...)
		if err != nil {
			return err
		}
		if o.asJSON {
			query := "*"
			if len(o.topics) > 0 {
				query = o.topics[0]
			}
			return json.NewEncoder(o.cmd.OutOrStdout()).Encode(listEnvelope(m, query))
		}
		printList(o.cmd.OutOrStdout(), m)
		return nil
	})
}

func printList(w io.Writer, m kadm.Metadata) {
	fmt.Fprintf(w, "Metadata for %s topics (from cluster %s):\n %d brokers:\n", "all", m.Cluster, len(m.Brokers))
	for _, b := range m.Brokers {
		controller := ""
		if b.NodeID == m.Controller {
			controller = " (controller)"
		}
		fmt.Fprintf(w, "  broker %d at %s:%d%s\n", b.NodeID, b.Host, b.Port, controller)
	}
	fmt.Fprintf(w, " %d topics:\n", len(m.Topics))
	for _, t := range m.Topics.Sorted() {
		fmt.Fprintf(w, "  topic %q with %d partitions:%s\n", t.Topic, len(t.Partitions), inBrackets(t.Err))
		for _, p := range t.Partitions.Sorted() {
			fmt.Fprintf(w, "    partition %d, leader %d, replicas: %s, isrs: %s%s\n", p.Partition, p.Leader, commas(p.Replicas), commas(p.ISR), inBrackets(p.Err))
		}
	}
}

func inBrackets(err error) string {
	if err == nil {
		return ""
	}
	return " (" + describedText(err, "") + ")"
}

func commas(ids []int32) string {
	text := make([]string, len(ids))
	for i, id := range slices.Sorted(slices.Values(ids)) {
		text[i] = strconv.Itoa(int(id))
	}
	return strings.Join(text, ",")
}

type listJSON struct {
	Query      map[string]string `json:"query"`
	Controller int32             `json:"controllerid"`
	Brokers    []listBroker      `json:"brokers"`
	Topics     []listTopic       `json:"topics"`
}

type listBroker struct {
	ID   int32  `json:"id"`
	Name string `json:"name,omitempty"`
}

type listTopic struct {
	Topic      string          `json:"topic"`
	Error      string          `json:"error,omitempty"`
	Partitions []listPartition `json:"partitions"`
}

type listPartition struct {
	Partition int32        `json:"partition"`
	Error     string       `json:"error,omitempty"`
	Leader    int32        `json:"leader"`
	Replicas  []listBroker `json:"replicas"`
	ISRs      []listBroker `json:"isrs"`
}

func listEnvelope(m kadm.Metadata, query string) listJSON {
	l := listJSON{Query: map[string]string{"topic": query}, Controller: m.Controller, Brokers: []listBroker{}, Topics: []listTopic{}}
	for _, b := range m.Brokers {
		l.Brokers = append(l.Brokers, listBroker{b.NodeID, fmt.Sprintf("%s:%d", b.Host, b.Port)})
	}
	ids := func(all []int32) []listBroker {
		out := []listBroker{}
		for _, id := range slices.Sorted(slices.Values(all)) {
			out = append(out, listBroker{ID: id})
		}
		return out
	}
	for _, t := range m.Topics.Sorted() {
		lt := listTopic{Topic: t.Topic, Error: describedText(t.Err, ""), Partitions: []listPartition{}}
		for _, p := range t.Partitions.Sorted() {
			lt.Partitions = append(lt.Partitions, listPartition{p.Partition, describedText(p.Err, ""), p.Leader, ids(p.Replicas), ids(p.ISR)})
		}
		l.Topics = append(l.Topics, lt)
	}
	return l
}

// runQuery is `cat -Q`: the offset of the first record at or after a time.
func (o *catOptions) runQuery(ctx context.Context) error {
	if len(o.topics) == 0 {
		return usagef("-Q wants -t TOPIC:PARTITION:MILLISECONDS")
	}
	return o.conn.withAdmin(ctx, func(ctx context.Context, adm *admin) error {
		for _, q := range o.topics {
			parts := strings.Split(q, ":")
			if len(parts) != 3 {
				return usagef("-t %s: -Q wants TOPIC:PARTITION:MILLISECONDS", q)
			}
			partition, err1 := strconv.ParseInt(parts[1], 10, 32)
			at, err2 := strconv.ParseInt(parts[2], 10, 64)
			if err := firstError(err1, err2); err != nil {
				return usagef("-t %s: -Q wants TOPIC:PARTITION:MILLISECONDS: %w", q, err)
			}
			offset, err := queryOffset(ctx, adm, parts[0], int32(partition), at)
			if err != nil {
				return fmt.Errorf("query %s: %w", q, err)
			}
			fmt.Fprintf(o.cmd.OutOrStdout(), "%s [%d] offset %d\n", parts[0], partition, offset)
		}
		return nil
	})
}

// queryOffset also takes the special times of Kafka's ListOffsets: -1 the end, -2 the start.
func queryOffset(ctx context.Context, adm *admin, topic string, partition int32, at int64) (int64, error) {
	var offsets kadm.ListedOffsets
	var err error
	switch at {
	case -1:
		offsets, err = adm.ListEndOffsets(ctx, topic)
	case -2:
		offsets, err = adm.ListStartOffsets(ctx, topic)
	default:
		offsets, err = adm.ListOffsetsAfterMilli(ctx, at, topic)
	}
	if offsets, err = listed(offsets, err); err != nil {
		return 0, err
	}
	got, ok := offsets.Lookup(topic, partition)
	if !ok {
		return 0, fmt.Errorf("there is no partition %d", partition)
	}
	return got.Offset, nil
}
