package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Validate judges one setting. The error carries kafka.InvalidConfig and has Kafka's text, as far as Kafka has one.
func Validate(scope Scope, name, value string) error {
	k, ok := Lookup(scope, name)
	if !ok {
		return unknown(scope, name)
	}
	return k.Validate(value)
}

// ValidateAll judges the settings that a resource would have, each and together: what was set dynamically for a topic, a group, a client
// metrics subscription.
func ValidateAll(scope Scope, values map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := Validate(scope, name, values[name]); err != nil {
			return err
		}
	}
	if scope != Topic {
		return nil
	}
	low, hasLow := values["min.compaction.lag.ms"]
	high, hasHigh := values["max.compaction.lag.ms"]
	if hasLow && hasHigh && parseInt(low) > parseInt(high) {
		return kafka.Errorf(kafka.InvalidConfig, "conflict topic config setting min.compaction.lag.ms (%s) > max.compaction.lag.ms (%s)", low, high)
	}
	if grows := values["rafka.partitions.max"]; grows != "" && parseInt(grows) > 0 && slices.Contains(splitList(values["cleanup.policy"]), "compact") {
		return kafka.Errorf(kafka.InvalidConfig, "a topic with cleanup.policy=compact cannot have rafka.partitions.max=%s: with more partitions a key's latest record would be in two of them", grows)
	}
	return nil
}

// ValidateDynamic judges a setting of a running broker, or of all of them (cluster).
func ValidateDynamic(name, value string, cluster bool) error {
	k, ok := Lookup(Broker, name)
	switch {
	case !ok:
		return unknown(Broker, name)
	case k.Mode == ReadOnly || k.AliasOf != "":
		return kafka.Errorf(kafka.InvalidConfig, "Cannot update these configs dynamically: [%s]", name)
	case cluster && k.Mode == PerBroker:
		return kafka.Errorf(kafka.InvalidConfig, "Cannot update these configs at default cluster level, broker id must be specified: [%s]", name)
	}
	return k.Validate(value)
}

func unknown(scope Scope, name string) error {
	if why := whyRemoved(name); why != "" {
		return kafka.Errorf(kafka.InvalidConfig, "Unknown %s config name: %s (%s)", scope, name, why)
	}
	return kafka.Errorf(kafka.InvalidConfig, "Unknown %s config name: %s", scope, name)
}

// Validate judges a value of the key.
func (k *Key) Validate(value string) error {
	value = strings.TrimSpace(value)
	if wrong := k.check(value); wrong != "" {
		return kafka.Errorf(kafka.InvalidConfig, "Invalid value %s for configuration %s: %s", k.shown(value), k.Name, wrong)
	}
	if k.Tier == Refused && !k.isDefault(value) {
		return kafka.Errorf(kafka.InvalidConfig, "Invalid value %s for configuration %s: %s", k.shown(value), k.Name, k.whyRefused())
	}
	return nil
}

// isDefault reports whether setting the key to value changes nothing.
func (k *Key) isDefault(value string) bool {
	return value == k.Default || k.Type == Boolean && strings.EqualFold(value, k.Default)
}

// shown is a value as messages may have it (CFG-5).
func (k *Key) shown(value string) string {
	if k.Sensitive() {
		return "[hidden]"
	}
	return value
}

// whyRefused completes the message about a key of tier Refused.
func (k *Key) whyRefused() string {
	switch k.Name {
	case "remote.storage.enable":
		return "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."
	case "remote.log.storage.system.enable":
		return "this release has no tiered storage"
	case "authorizer.class.name", "super.users", "allow.everyone.if.no.acl.found":
		return "this release has no access control, and starting without it would be a surprise"
	}
	if k.Type == Class || strings.HasSuffix(k.Name, ".class") || strings.HasSuffix(k.Name, ".class.name") {
		return "Java classes cannot be loaded"
	}
	return "this release does not have it"
}

// parseInt reads a number that was validated.
func parseInt(v string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	if err != nil {
		panic("config: " + v + " was validated as a number")
	}
	return n
}
