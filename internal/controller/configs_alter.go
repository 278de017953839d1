package controller

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// ConfigOp with Kafka's codes (IncrementalAlterConfigs).
type ConfigOp int8

// What a ConfigChange does to its setting. OpAppend and OpSubtract add and remove elements of settings that are lists.
const (
	OpSet      ConfigOp = 0
	OpDelete   ConfigOp = 1
	OpAppend   ConfigOp = 2
	OpSubtract ConfigOp = 3
)

// ConfigChange is one operation on a setting.
type ConfigChange struct {
	Name  string
	Op    ConfigOp
	Value *string // nil only for OpDelete
}

// AlterResource changes one resource, all or nothing. Replace: what is not named goes back to its default (AlterConfigs).
type AlterResource struct {
	metadata.Resource
	Replace bool
	Changes []ConfigChange
}

// AlterConfigs decides about each resource on its own. Loggers are no metadata and not for the controller.
func AlterConfigs(env *Env, img *metadata.Image, resources []AlterResource) ([]metadata.Record, []error) {
	times := map[metadata.Resource]int{}
	for i := range resources {
		times[resources[i].Resource]++
	}
	var records []metadata.Record
	errs := make([]error, len(resources))
	for i := range resources {
		r := &resources[i]
		if times[r.Resource] > 1 {
			errs[i] = kafka.Errorf(kafka.InvalidRequest, "Each resource must appear at most once.")
			continue
		}
		made, err := alterResource(env, img, r)
		if err != nil {
			errs[i] = err
			continue
		}
		records = append(records, made...)
	}
	return append(records, noLongerEligible(env, img, records)...), errs
}

// noLongerEligible takes eligible leader replicas away where a lower min.insync.replicas lets the watermark move without them. It belongs
// to the same records as the setting: a moment between the two could lose what is acknowledged in it.
func noLongerEligible(env *Env, img *metadata.Image, settings []metadata.Record) []metadata.Record {
	about := func(r metadata.Record) bool {
		c, ok := r.(*metadata.ConfigRecord)
		return ok && c.Name == "min.insync.replicas"
	}
	if env.MinISR == nil || !slices.ContainsFunc(settings, about) {
		return nil
	}
	next, _, err := metadata.Fold(img, settings)
	if err != nil {
		return nil // the settings will not be stored either
	}
	c := newChanges(env, next)
	for _, t := range topicsWith(next, func(p *metadata.Partition) bool { return len(p.ELR) > 0 }) {
		for i := range t.Partitions {
			if p := &t.Partitions[i]; len(p.ELR) > 0 {
				if after, changed := c.settle(t, p, asIs(p)); changed {
					c.put(t, int32(i), after)
				}
			}
		}
	}
	return c.records
}

func alterResource(env *Env, img *metadata.Image, r *AlterResource) ([]metadata.Record, error) {
	if err := CheckChanges(r.Changes); err != nil {
		return nil, err
	}
	if err := checkResource(img, r.Resource); err != nil {
		return nil, err
	}
	before := img.Configs[r.Resource]
	after := map[string]string{}
	if !r.Replace {
		maps.Copy(after, before)
	}
	set := map[string]string{}
	for _, c := range r.Changes {
		value, err := changed(env, img, r.Resource, c, after)
		if err != nil {
			return nil, err
		}
		if value == nil {
			delete(after, c.Name)
			continue
		}
		after[c.Name], set[c.Name] = *value, *value
	}
	if err := checkSettings(r.Resource, set, after); err != nil {
		return nil, err
	}
	if err := checkGroupBounds(env, img, r.Resource, set); err != nil {
		return nil, err
	}
	return append(difference(r.Resource, before, after), drainAsSet(env, img, r, after)...), nil
}

// drainSetting is the setting of a broker that DrainBroker acts on.
const drainSetting = "rafka.broker.drain"

// drainAsSet does with a broker what its setting says by now, if the change is about that. Setting the same once more counts too.
func drainAsSet(env *Env, img *metadata.Image, r *AlterResource, after map[string]string) []metadata.Record {
	_, had := img.Configs[r.Resource][drainSetting]
	named := slices.ContainsFunc(r.Changes, func(c ConfigChange) bool { return c.Name == drainSetting })
	if r.Type != metadata.ResourceBroker || r.Name == "" || !named && !(r.Replace && had) {
		return nil
	}
	id, err := strconv.ParseInt(r.Name, 10, 32)
	if err != nil {
		return nil // checkResource has refused it
	}
	records, _ := DrainBroker(env, img, kafka.BrokerID(id), strings.EqualFold(strings.TrimSpace(after[drainSetting]), "true")) // it is registered: checkResource
	return records
}

// CheckChanges refuses what no resource allows: a name twice, or no value where one is needed.
func CheckChanges(changes []ConfigChange) error {
	seen := map[string]bool{}
	var nulls []string
	for _, c := range changes {
		if seen[c.Name] {
			return kafka.Errorf(kafka.InvalidRequest, "Error due to duplicate config keys")
		}
		seen[c.Name] = true
		if c.Op < OpSet || c.Op > OpSubtract {
			return kafka.Errorf(kafka.InvalidRequest, "Unknown operation type %d for config %s", c.Op, c.Name)
		}
		if c.Value == nil && c.Op != OpDelete {
			nulls = append(nulls, c.Name)
		}
	}
	if len(nulls) > 0 {
		return kafka.Errorf(kafka.InvalidRequest, "Null value not supported for : %s", strings.Join(nulls, ","))
	}
	return nil
}

func checkResource(img *metadata.Image, r metadata.Resource) error {
	switch r.Type {
	case metadata.ResourceTopic:
		if r.Name == "" {
			return kafka.Errorf(kafka.InvalidRequest, "Default topic resources are not allowed.")
		}
		if err := CheckTopicName(r.Name); err != nil {
			return err
		}
		if img.Topics.ByName(r.Name) == nil {
			return kafka.Errorf(kafka.UnknownTopicOrPartition, "The topic '%s' does not exist.", r.Name)
		}
	case metadata.ResourceBroker:
		if r.Name == "" {
			return nil
		}
		id, err := strconv.ParseInt(r.Name, 10, 32)
		if err != nil {
			return kafka.Errorf(kafka.InvalidRequest, "Invalid broker name %s", r.Name)
		}
		if img.Brokers[kafka.BrokerID(id)] == nil {
			return kafka.Errorf(kafka.BrokerIDNotRegistered, "No broker with id %d found.", id)
		}
	case metadata.ResourceGroup:
		if r.Name == "" {
			return kafka.Errorf(kafka.InvalidRequest, "Default group resources are not allowed.")
		}
	case metadata.ResourceClientMetrics:
		if r.Name == "" {
			return kafka.Errorf(kafka.InvalidRequest, "Default client metrics resources are not allowed.")
		}
	default:
		return kafka.Errorf(kafka.InvalidRequest, "Unsupported config resource type %d", r.Type)
	}
	return nil
}

// changed is the value of a setting after a change; nil: none.
func changed(env *Env, img *metadata.Image, r metadata.Resource, c ConfigChange, now map[string]string) (*string, error) {
	switch c.Op {
	case OpDelete:
		return nil, nil
	case OpSet:
		return c.Value, nil
	}
	if !isList(r.Type, c.Name) {
		verb := "APPEND to"
		if c.Op == OpSubtract {
			verb = "SUBTRACT from"
		}
		return nil, kafka.Errorf(kafka.InvalidConfig, "Can't %s key %s because its type is not LIST.", verb, c.Name)
	}
	value, has := now[c.Name]
	if !has {
		value = env.Inherited(img, r, c.Name)
	}
	list := splitList(value)
	for _, element := range splitList(*c.Value) {
		at := slices.Index(list, element)
		switch {
		case c.Op == OpAppend && at < 0:
			list = append(list, element)
		case c.Op == OpSubtract && at >= 0:
			list = slices.Delete(list, at, at+1)
		}
	}
	joined := strings.Join(list, ",")
	return &joined, nil
}

func splitList(s string) []string {
	var list []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// difference is the records that lead from before to after, by name.
func difference(r metadata.Resource, before, after map[string]string) []metadata.Record {
	var records []metadata.Record
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, stays := after[name]; !stays {
			records = append(records, &metadata.ConfigRecord{Resource: r, Name: name})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		value := after[name]
		if old, had := before[name]; !had || old != value {
			records = append(records, &metadata.ConfigRecord{Resource: r, Name: name, Value: &value})
		}
	}
	return records
}
