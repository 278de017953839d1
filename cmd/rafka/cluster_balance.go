package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// balanceKey is the setting, of the cluster and of topics, that says whether brokers even out by themselves.
const balanceKey = "rafka.balance.enable"

// balanceOptions are the flags of `cluster rebalance` that are about what the cluster does by itself.
type balanceOptions struct {
	explain, cancel, on, off, release bool
	http                              string
}

func (o *balanceOptions) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.explain, "explain", false, "say what the controller moved by itself lately, and why, and what it would move next")
	f.StringVar(&o.http, "http", "", httpHelp+"; for --explain")
	f.BoolVar(&o.off, "off", false, "let the controller move nothing by itself to even out")
	f.BoolVar(&o.on, "on", false, "let it again")
	f.BoolVar(&o.cancel, "cancel", false, "give up all moves of replicas under way, and turn it off as --off does")
	f.BoolVar(&o.release, "release", false, "let topics that were placed by hand be evened out again")
}

// asked is how many things were asked for.
func (o *balanceOptions) asked() (n int) {
	for _, is := range []bool{o.explain, o.cancel, o.on, o.off, o.release} {
		if is {
			n++
		}
	}
	return n
}

func (c *clusterCommand) balance(ctx context.Context, cmd *cobra.Command, adm *admin, o *balanceOptions) error {
	var outcomes []outcome
	var err error
	switch {
	case o.explain:
		return c.explainBalance(ctx, cmd, adm, o)
	case o.release:
		outcomes, err = releaseTopics(ctx, adm)
	case o.on:
		outcomes, err = setBalance(ctx, adm, true)
	default:
		// First off, so that what is cancelled does not begin again.
		if outcomes, err = setBalance(ctx, adm, false); err == nil && o.cancel {
			var cancelled []outcome
			cancelled, err = cancelMoves(ctx, adm)
			outcomes = append(outcomes, cancelled...)
		}
	}
	if err != nil {
		return err
	}
	return c.printOutcomes(cmd.OutOrStdout(), "what", outcomes)
}

func setBalance(ctx context.Context, adm *admin, on bool) ([]outcome, error) {
	change, status := configChange{delete: []string{balanceKey}}, "on"
	if !on {
		change, status = configChange{set: keyValues{{balanceKey, "false"}}}, "off"
	}
	outcomes, err := change.apply(ctx, adm, []resource{{kmsg.ConfigResourceTypeBroker, ""}})
	for i := range outcomes {
		outcomes[i].Name = "evening out by itself"
		if outcomes[i].Error == "" {
			outcomes[i].Status = status
		}
	}
	return outcomes, err
}

// cancelMoves gives up all reassignments under way.
func cancelMoves(ctx context.Context, adm *admin) ([]outcome, error) {
	moves, err := allMoves(ctx, adm)
	if err != nil {
		return nil, err
	}
	var req kadm.AlterPartitionAssignmentsReq
	for _, m := range moves.Sorted() {
		req.CancelAssign(m.Topic, m.Partition)
	}
	if len(moves) == 0 {
		return []outcome{{Name: "moves of replicas", Status: "none is under way"}}, nil
	}
	answers, err := adm.AlterPartitionAssignments(ctx, req)
	if err != nil {
		return nil, err
	}
	var outcomes []outcome
	for _, a := range answers.Sorted() {
		o := outcome{Name: fmt.Sprintf("%s/%d", a.Topic, a.Partition), Status: "move given up"}
		if a.Err != nil {
			o.Status, o.Error = "failed", describedText(a.Err, a.ErrMessage)
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

// releaseTopics takes the setting off the topics that have it.
func releaseTopics(ctx context.Context, adm *admin) ([]outcome, error) {
	topics, err := adm.ListTopicsWithInternal(ctx)
	if err != nil {
		return nil, err
	}
	configs, err := adm.DescribeTopicConfigs(ctx, topics.Names()...)
	if err != nil {
		return nil, err
	}
	var held []resource
	for _, r := range configs {
		for _, e := range r.Configs {
			if e.Key == balanceKey && e.Source == kmsg.ConfigSourceDynamicTopicConfig {
				held = append(held, resource{kmsg.ConfigResourceTypeTopic, r.Name})
			}
		}
	}
	if len(held) == 0 {
		return []outcome{{Name: "topics", Status: "none is placed by hand"}}, nil
	}
	change := configChange{delete: []string{balanceKey}}
	outcomes, err := change.apply(ctx, adm, held)
	for i := range outcomes {
		if outcomes[i].Error == "" {
			outcomes[i].Status = "evened out again"
		}
	}
	return outcomes, err
}

// balanceView is what the controller does by itself.
type balanceView struct {
	Past []decision `json:"past"`
	Next []string   `json:"next"`
}

func (c *clusterCommand) explainBalance(ctx context.Context, cmd *cobra.Command, adm *admin, o *balanceOptions) error {
	doors, err := httpDoors(ctx, adm, o.http)
	if err != nil {
		return err
	}
	v := balanceView{Past: []decision{}, Next: []string{}}
	addr := doors[0]
	past, err := clusterNotes(ctx, addr, "done")
	for i := 1; errors.Is(err, errNoDoor) && i < len(doors); i++ { // each one asks the controller
		addr = doors[i]
		past, err = clusterNotes(ctx, addr, "done")
	}
	if err != nil {
		return err
	}
	next, err := clusterNotes(ctx, addr, "next")
	if err != nil {
		return err
	}
	v.Past = append(v.Past, past...)
	for _, n := range next {
		v.Next = append(v.Next, n.Text)
	}
	return c.print(cmd.OutOrStdout(), v, func(tb *table) {
		if len(v.Past) == 0 {
			tb.row("The controller has moved nothing by itself since it began.")
		}
		for _, d := range v.Past {
			tb.row(d.At.Local().Format("2006-01-02 15:04:05"), d.Text)
		}
		for _, text := range v.Next {
			tb.row("next", text)
		}
		if len(v.Next) == 0 {
			tb.row("It has nothing to do now.")
		}
	})
}

// clusterNotes asks a broker's HTTP door what the controller did or would do.
func clusterNotes(ctx context.Context, addr, about string) (list []decision, err error) {
	where := url.URL{Scheme: "http", Host: addr, Path: "/v1/explain", RawQuery: url.Values{"about": {about}, "kind": {"cluster"}}.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, noDoor(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostDecisions))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s says: %s", addr, strings.TrimSpace(string(body)))
	}
	return list, json.Unmarshal(body, &list)
}
