package controller

import (
	"maps"
	"slices"
	"strconv"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// ScopeOf is the table of settings that a type of resource has.
func ScopeOf(t metadata.ResourceType) config.Scope {
	switch t {
	case metadata.ResourceBroker:
		return config.Broker
	case metadata.ResourceGroup:
		return config.Group
	case metadata.ResourceClientMetrics:
		return config.ClientMetrics
	}
	return config.Topic
}

// checkSettings refuses what a resource cannot have. set are the settings that change, after those there would be. What was valid when
// it was set stays: a release that knows a key no more must not keep the other keys from being changed.
func checkSettings(r metadata.Resource, set, after map[string]string) error {
	if r.Type == metadata.ResourceBroker {
		return checkBrokerSettings(r, set)
	}
	if err := config.ValidateAll(ScopeOf(r.Type), set); err != nil {
		return err
	}
	together := map[string]string{}
	for name, value := range after {
		if config.Validate(ScopeOf(r.Type), name, value) == nil {
			together[name] = value
		}
	}
	return config.ValidateAll(ScopeOf(r.Type), together)
}

// checkGroupBounds holds what is set for a group within what the broker allows: group.share.max.session.timeout.ms and its like.
func checkGroupBounds(env *Env, img *metadata.Image, r metadata.Resource, set map[string]string) error {
	if r.Type != metadata.ResourceGroup {
		return nil
	}
	number := func(broker string) (int64, bool) {
		if broker == "" {
			return 0, false
		}
		n, err := strconv.ParseInt(env.Inherited(img, metadata.Resource{Type: metadata.ResourceBroker}, broker), 10, 64)
		return n, err == nil
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		value, err := strconv.ParseInt(set[name], 10, 64)
		if err != nil {
			continue // not a number, so nothing bounds it
		}
		atLeast, atMost := config.GroupBounds(name)
		if n, ok := number(atLeast); ok && value < n {
			return kafka.Errorf(kafka.InvalidConfig, "%s must be greater than or equal to %s (%d)", name, atLeast, n)
		}
		if n, ok := number(atMost); ok && value > n {
			return kafka.Errorf(kafka.InvalidConfig, "%s must be less than or equal to %s (%d)", name, atMost, n)
		}
	}
	return nil
}

// checkBrokerSettings answers with another code than the other resources get, as Kafka does (KAFKA-13609).
func checkBrokerSettings(r metadata.Resource, set map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if err := config.ValidateDynamic(name, set[name], r.Name == ""); err != nil {
			return kafka.Errorf(kafka.InvalidRequest, "%w", err)
		}
	}
	return nil
}

func isList(t metadata.ResourceType, name string) bool {
	key, known := config.Lookup(ScopeOf(t), name)
	return known && key.IsList()
}
