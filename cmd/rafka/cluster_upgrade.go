package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// versionFeature is the feature that says which formats the brokers of a Rafka cluster may use.
const versionFeature = "rafka.version"

type upgradeView struct {
	Feature string        `json:"feature"`
	Level   int16         `json:"level"`   // in force
	Highest int16         `json:"highest"` // that all brokers know, as far as they could be asked
	Brokers []brokerLevel `json:"brokers"`
	Status  string        `json:"status"`
}

type brokerLevel struct {
	ID    int32  `json:"id"`
	Knows int16  `json:"knows"` // the highest level
	Error string `json:"error,omitempty"`
}

func newClusterUpgrade(c *clusterCommand) *cobra.Command {
	var to string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Show the level of the cluster's formats, or raise it after all brokers run a newer release",
		Long: `Show the level of the cluster's formats (` + versionFeature + `) and what each broker knows; with --to raise it.

Brokers of a newer release keep to the level of the cluster, so that one can go back to the older release. When all brokers run the
newer one and do well, raise the level: from then on the cluster uses what is new. It cannot be lowered again.`,
		Example: `  rafka cluster upgrade
  rafka cluster upgrade --to latest --dry-run
  rafka cluster upgrade --to 2`,
		Args: arguments(0, 0, "[flags]"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			level := -1
			if to != "" && to != "latest" {
				var err error
				if level, err = strconv.Atoi(to); err != nil || level < 1 || level > math.MaxInt16 {
					return usagef("--to %q: want a level such as 2, or latest", to)
				}
			}
			if to == "" && dryRun {
				return usagef("--dry-run is of --to: without that nothing is changed")
			}
			return c.withAdmin(cmd.Context(), func(ctx context.Context, adm *admin) error {
				v, err := loadLevels(ctx, adm)
				if err != nil {
					return err
				}
				if to == "latest" {
					level = int(v.Highest)
				}
				if to != "" {
					err = v.raise(ctx, adm, int16(level), dryRun)
				}
				if err != nil {
					return err
				}
				return c.print(cmd.OutOrStdout(), v, func(tb *table) { printLevels(tb, v) })
			})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "raise the cluster to this `LEVEL`; latest: the highest that all brokers know")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "let the cluster check it, change nothing")
	return cmd
}

// loadLevels asks every broker what it knows.
func loadLevels(ctx context.Context, adm *admin) (*upgradeView, error) {
	n, err := loadNodes(ctx, adm)
	if err != nil {
		return nil, err
	}
	v := &upgradeView{Feature: versionFeature, Brokers: make([]brokerLevel, len(n.list))}
	finalized := make([]int16, len(n.list))
	within, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	var all sync.WaitGroup
	for i, node := range n.list {
		b := &v.Brokers[i]
		if b.ID = node.ID; !node.serves() {
			b.Error = node.State
			continue
		}
		all.Go(func() {
			var err error
			if b.Knows, finalized[i], err = levelsOf(within, adm.raw.Broker(int(node.ID))); err != nil {
				b.Error = explain(err).Error()
			}
		})
	}
	all.Wait()
	v.judge(finalized)
	if v.Highest == 0 {
		return nil, fmt.Errorf("no broker knows %s: this is no Rafka cluster, or none of its brokers can be reached", versionFeature)
	}
	return v, nil
}

// levelsOf is what a broker knows, and what it says is in force.
func levelsOf(ctx context.Context, via kmsg.Requestor) (knows, finalized int16, err error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "rafka-cli", "1"
	resp, err := req.RequestWith(ctx, via)
	if err == nil {
		err = kerrOf(resp.ErrorCode, nil)
	}
	if err != nil {
		return 0, 0, err
	}
	for _, f := range resp.SupportedFeatures {
		if f.Name == versionFeature {
			knows = f.MaxVersion
		}
	}
	for _, f := range resp.FinalizedFeatures {
		if f.Name == versionFeature {
			finalized = f.MaxVersionLevel
		}
	}
	return knows, finalized, nil
}

// judge sums up what the brokers said. One that could not be asked may come back with an older release: the cluster would not take it.
func (v *upgradeView) judge(finalized []int16) {
	v.Level, v.Highest = slices.Max(finalized), 0
	first, silent := true, 0
	for _, b := range v.Brokers {
		switch {
		case b.Error != "":
			silent++
		case first || b.Knows < v.Highest:
			v.Highest, first = b.Knows, false
		}
	}
	switch {
	case v.Highest > v.Level:
		v.Status = fmt.Sprintf("can be raised to %d: rafka cluster upgrade --to %d", v.Highest, v.Highest)
	default:
		v.Status = "the highest that all brokers know"
	}
	if silent > 0 {
		v.Status += fmt.Sprintf("; %d brokers could not be asked", silent)
	}
}

// raise raises the cluster's level. The cluster refuses one that a living broker does not know.
func (v *upgradeView) raise(ctx context.Context, adm *admin, level int16, dryRun bool) error {
	if level == v.Level {
		v.Status = "it is at this level already"
		return nil
	}
	req := kmsg.NewPtrUpdateFeaturesRequest()
	u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
	u.Feature, u.MaxVersionLevel, u.UpgradeType = versionFeature, level, 1 // the cluster refuses to go down
	req.FeatureUpdates, req.ValidateOnly = append(req.FeatureUpdates, u), dryRun
	resp, err := req.RequestWith(ctx, adm.raw)
	if err == nil {
		err = kerrOf(resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		return err
	}
	for _, r := range resp.Results { // of older brokers, which answer about each
		if err := kerrOf(r.ErrorCode, r.ErrorMessage); err != nil {
			return err
		}
	}
	if dryRun {
		v.Status = fmt.Sprintf("would be raised from %d to %d", v.Level, level)
		return nil
	}
	v.Status = fmt.Sprintf("raised from %d to %d", v.Level, level)
	v.Level = level
	return nil
}

func printLevels(tb *table, v *upgradeView) {
	tb.row(v.Feature, v.Level, v.Status)
	tb.section("BROKERS")
	tb.row("ID", "KNOWS-UP-TO")
	for _, b := range v.Brokers {
		if b.Error != "" {
			tb.row(b.ID, "-", b.Error)
			continue
		}
		tb.row(b.ID, b.Knows)
	}
}
