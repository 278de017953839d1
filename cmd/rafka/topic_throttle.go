package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// throttleOff takes throttles off.
const throttleOff = "off"

// The settings of replication's throttles, as Kafka's tools set them: rates of brokers, and the replicas of a topic for which they are.
var (
	throttledRates    = []string{"leader.replication.throttled.rate", "follower.replication.throttled.rate"}
	throttledReplicas = []string{"leader.replication.throttled.replicas", "follower.replication.throttled.replicas"}
)

// throttle limits what is copied when a topic's partitions move: the rate of every broker that gives or takes, and which replicas that is for.
func throttle(ctx context.Context, adm *admin, topic, rate string, parts []kadm.PartitionDetail, target func(int32) []int32) error {
	bytes, err := parseBytes(rate)
	if err != nil || bytes < 1 {
		return errors.Join(usagef("--throttle: at least 1 byte a second, or %s", throttleOff), err)
	}
	brokers := map[int32]bool{}
	var from, to []string
	for _, p := range parts {
		for _, id := range p.Replicas {
			brokers[id] = true
			from = append(from, fmt.Sprintf("%d:%d", p.Partition, id))
		}
		for _, id := range target(p.Partition) {
			brokers[id] = true
			if !slices.Contains(p.Replicas, id) {
				to = append(to, fmt.Sprintf("%d:%d", p.Partition, id))
			}
		}
	}
	if len(to) == 0 {
		return nil // nothing is copied
	}
	ids := slices.Sorted(maps.Keys(brokers))
	named := configChange{set: keyValues{{throttledReplicas[0], strings.Join(from, ",")}, {throttledReplicas[1], strings.Join(to, ",")}}}
	text := strconv.FormatInt(bytes, 10)
	limited := configChange{set: keyValues{{throttledRates[0], text}, {throttledRates[1], text}}}
	_, err = changeThrottles(ctx, adm, &named, topic, &limited, ids)
	return err
}

// unthrottle takes the limits off a topic and all brokers.
func unthrottle(ctx context.Context, adm *admin, topic string) ([]outcome, error) {
	all, err := adm.ListBrokers(ctx)
	if err != nil {
		return nil, err
	}
	return changeThrottles(ctx, adm, &configChange{delete: throttledReplicas}, topic, &configChange{delete: throttledRates}, all.NodeIDs())
}

func changeThrottles(ctx context.Context, adm *admin, replicas *configChange, topic string, rates *configChange, brokers []int32) ([]outcome, error) {
	outcomes, err := replicas.apply(ctx, adm, []resource{{kmsg.ConfigResourceTypeTopic, topic}})
	for _, id := range brokers {
		if err != nil {
			break
		}
		var more []outcome
		more, err = rates.apply(ctx, adm, []resource{{kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(id))}})
		outcomes = append(outcomes, more...)
	}
	for _, o := range outcomes {
		if err == nil && o.Error != "" {
			err = fmt.Errorf("throttle %s: %s", o.Name, o.Error)
		}
	}
	return outcomes, err
}
