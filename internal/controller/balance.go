package controller

import (
	"strconv"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// balanceKey is the setting that says whether Upkeep evens out: of the cluster, and of a topic, which comes first.
const balanceKey = "rafka.balance.enable"

// Load is what a partition had to do lately, as its leader says.
type Load struct {
	Topic          kafka.UUID
	Partition      int32
	BytesPerSecond int64 // of records that were committed
	Size           int64 // of its log, in bytes
}

// PlacedByHand has Upkeep leave the topics alone of which an operator has just placed partitions: it would undo what somebody wanted, where that is
// less even. errs are what AlterReassignments said to list. It is a setting of the topic, so everybody sees it and can take it back; a topic that has
// the setting already keeps it.
func PlacedByHand(img *metadata.Image, list []Reassignment, errs []error) []metadata.Record {
	var records []metadata.Record
	done := map[string]bool{}
	for i, r := range list {
		if i >= len(errs) || errs[i] != nil || r.Replicas == nil || done[r.Topic] {
			continue
		}
		done[r.Topic] = true
		if _, set := img.Configs.Topic(r.Topic)[balanceKey]; !set {
			off := "false"
			records = append(records, &metadata.ConfigRecord{Resource: metadata.Resource{Type: metadata.ResourceTopic, Name: r.Topic}, Name: balanceKey, Value: &off})
		}
	}
	return records
}

// balances reports whether a topic's replicas and leaders are to be evened out.
func (u *upkeep) balances(t *metadata.Topic) bool {
	if own, set := u.c.img.Configs.Topic(t.Name)[balanceKey]; set {
		return own != "false"
	}
	return u.balance
}

// perSecond says a rate in words.
func perSecond(n int64) string {
	switch {
	case n >= 1<<20:
		return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB/s"
	case n >= 1<<10:
		return strconv.FormatInt(n>>10, 10) + " KiB/s"
	}
	return strconv.FormatInt(n, 10) + " B/s"
}
