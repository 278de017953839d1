package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kinds of elections, with Kafka's codes.
const (
	electPreferred int8 = 0 // the first replica leads, if it is in sync
	electUnclean   int8 = 1 // any living replica leads a partition that nobody leads, whatever is lost by that
)

// electAtOnce bounds the partitions of one request: each leader that moves costs its clients a moment.
const electAtOnce = 500

// election is a partition that another broker should lead, and what has become of it.
type election struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      int32  `json:"from"`         // who leads it now; -1: nobody
	To        int32  `json:"to,omitempty"` // who should; whoever the controller chooses, if Any
	Any       bool   `json:"any,omitempty"`
	Status    string `json:"status"`
	Error     string `json:"error,omitempty"`
	err       error
}

func (e *election) name() string { return fmt.Sprintf("%s/%d", e.Topic, e.Partition) }

// elect asks for all of them and notes what has become of each.
func elect(ctx context.Context, adm *admin, kind int8, all []election) error {
	for begin := 0; begin < len(all); begin += electAtOnce {
		if err := electSome(ctx, adm, kind, all[begin:min(begin+electAtOnce, len(all))]); err != nil {
			return err
		}
	}
	return nil
}

func electSome(ctx context.Context, adm *admin, kind int8, some []election) error {
	req := kmsg.NewPtrElectLeadersRequest()
	req.ElectionType = kind
	index := map[string]*election{}
	for i := range some {
		e := &some[i]
		index[e.name()] = e
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != e.Topic {
			t := kmsg.NewElectLeadersRequestTopic()
			t.Topic = e.Topic
			req.Topics = append(req.Topics, t)
		}
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, e.Partition)
		e.Status, e.Error, e.err = "unknown", "the broker did not answer about it", errors.New("no answer")
	}
	resp, err := req.RequestWith(ctx, adm.raw)
	if err != nil {
		return err
	}
	if err := kerrOf(resp.ErrorCode, nil); err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if e := index[fmt.Sprintf("%s/%d", t.Topic, p.Partition)]; e != nil {
				e.answered(kerr.ErrorForCode(p.ErrorCode), deref(p.ErrorMessage))
			}
		}
	}
	return nil
}

// answered notes the answer of the cluster.
func (e *election) answered(err error, message string) {
	e.Error, e.err = "", err
	switch {
	case err == nil && e.Any:
		e.Status = "elected"
	case err == nil:
		e.Status = "moved"
	case errors.Is(err, kerr.ElectionNotNeeded):
		e.Status, e.err = "was so already", nil
	default:
		e.Status, e.Error = "stays", describedText(err, message)
	}
}

func printElections(cmd *cobra.Command, o *output, all []election) error {
	failed := 0
	for _, e := range all {
		if e.err != nil {
			failed++
		}
	}
	if all == nil {
		all = []election{}
	}
	err := o.print(cmd.OutOrStdout(), all, func(tb *table) {
		if len(all) == 0 {
			tb.row("every partition is led by its preferred replica")
			return
		}
		tb.row("PARTITION", "FROM", "TO", "STATUS")
		for _, e := range all {
			to, status := any(e.To), e.Status
			if e.Any {
				to = "any"
			}
			if e.Error != "" {
				status += ": " + e.Error
			}
			tb.row(e.name(), unknownDash(int64(e.From)), to, status)
		}
	})
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %d elections failed", failed, len(all))
	}
	return err
}
