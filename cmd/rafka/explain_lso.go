package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/spf13/cobra"
)

func newExplainLSO(e *explainCommand) *cobra.Command {
	cmd := e.verb("lso TOPIC[:P,P]", "What holds back consumers with read_committed",
		`Consumers with read_committed read up to the last stable offset: where the oldest open transaction starts. This says which one that is, in
each partition, and when it will end.`, atOnceOnly, e.lso)
	cmd.ValidArgsFunction = e.completeTopics
	return cmd
}

func (e *explainCommand) lso(ctx context.Context, adm *admin, name string) (*explanation, error) {
	scope, err := parseScope([]string{name})
	if err != nil {
		return nil, err
	}
	topic := scope[0].topic
	ends, err := loadLogs(ctx, adm, []string{topic}, scope[0].partitions, kgo.ReadUncommitted())
	if err != nil {
		return nil, err
	}
	stable, err := loadLogs(ctx, adm, []string{topic}, scope[0].partitions, kgo.ReadCommitted())
	if err != nil {
		return nil, err
	}
	now := e.now()
	open, err := openTransactions(ctx, adm, []string{topic}, now)
	if err != nil {
		return nil, err
	}
	known, err := coordinatorsView(ctx, adm, open)
	if err != nil {
		return nil, err
	}
	x := explainLSO(topic, ends, stable, open, known, now)
	for _, d := range known {
		x.Decisions = append(x.Decisions, e.decisions(ctx, adm, d.TxnID)...)
	}
	slices.SortFunc(x.Decisions, func(a, b decision) int { return a.At.Compare(b.At) })
	return x, nil
}

// explainLSO compares where the partitions end for everybody and for read_committed.
func explainLSO(topic string, ends, stable []partitionLog, open []openTxn, known map[int64]kadm.DescribedTransaction, now time.Time) *explanation {
	x := &explanation{About: topic}
	held := 0
	var details []reason
	for _, l := range ends {
		lso := l.end
		for _, s := range stable {
			if s.partition == l.partition {
				lso = min(lso, s.end)
			}
		}
		first, others := holderOf(open, l.partition)
		if lso >= l.end && first == nil {
			continue
		}
		held++
		subject := fmt.Sprintf("%s/%d", l.topic, l.partition)
		text := fmt.Sprintf("the last stable offset is %d, %s before the end", lso, plural(l.end-lso, "record"))
		if first == nil {
			details = append(details, reason{subject, text + "; no transaction is open by now: it has just ended"})
			continue
		}
		text += fmt.Sprintf(": producer %d (epoch %d) has a transaction open since offset %d and wrote last %s ago", first.ProducerID, first.ProducerEpoch, first.StartOffset, secondsText(&first.IdleSeconds))
		d, ok := known[first.ProducerID]
		text += "; " + whoEnds(*first, d, ok, now)
		if others > 0 {
			text += fmt.Sprintf("; %s more open behind it", plural(int64(others), "transaction"))
		}
		details = append(details, reason{subject, text})
	}
	if held == 0 {
		x.say("", "Nothing holds back consumers of %s with read_committed: no transaction is open in it.", topic)
	} else {
		x.say("", "Open transactions hold back consumers with read_committed in %s of %s.", plural(int64(held), "partition"), topic)
	}
	x.Findings = append(x.Findings, details...)
	return x
}

// holderOf is the open transaction of a partition that starts first, and how many others there are.
func holderOf(open []openTxn, partition int32) (first *openTxn, others int) {
	for i := range open {
		switch o := &open[i]; {
		case o.Partition != partition:
		case first == nil:
			first = o
		default:
			others++
			if o.StartOffset < first.StartOffset {
				first = o
			}
		}
	}
	return first, others
}

// whoEnds says who will end a transaction, and when at the latest.
func whoEnds(o openTxn, d kadm.DescribedTransaction, known bool, now time.Time) string {
	if why := whyHanging(o, d, known); why != "" {
		return fmt.Sprintf("%s, so nobody will end it: `rafka txn abort --topic %s --partition %d --start-offset %d`", why, o.Topic, o.Partition, o.StartOffset)
	}
	if d.State != "Ongoing" {
		return fmt.Sprintf("%s is %s: its marker is on the way", d.TxnID, d.State)
	}
	text := fmt.Sprintf("its transactional id is %s", d.TxnID)
	if d.StartTimestamp > 0 && d.TimeoutMillis > 0 {
		left := time.UnixMilli(d.StartTimestamp).Add(time.Duration(d.TimeoutMillis) * time.Millisecond).Sub(now)
		if left > 0 {
			return text + fmt.Sprintf(", and its coordinator aborts it in %s if the producer does not end it", spanText(left))
		}
		return text + ", and its time is over: its coordinator aborts it any moment"
	}
	return text
}
