package config

import (
	"slices"
	"strings"
)

// index finds keys by scope and name; sorted lists them by name. Built once, they never change.
var (
	index  [scopes]map[string]*Key
	sorted [scopes][]*Key
)

func init() {
	for scope, tables := range [scopes][][]Key{
		Broker:        {brokerActs, brokerGroups, brokerPlanned, brokerIgnored, brokerRefused, brokerRafka},
		Topic:         {topicKeys, topicRafka},
		Group:         {groupKeys, groupRafka},
		ClientMetrics: {clientMetricsKeys},
	} {
		index[scope] = map[string]*Key{}
		for _, table := range tables {
			for i := range table {
				k := &table[i]
				if index[scope][k.Name] != nil {
					panic("config: " + k.Name + " is twice in the table")
				}
				k.check = checkOf(k)
				index[scope][k.Name] = k
				sorted[scope] = append(sorted[scope], k)
			}
		}
		slices.SortFunc(sorted[scope], func(a, b *Key) int { return strings.Compare(a.Name, b.Name) })
		for _, k := range sorted[scope] {
			if k.AliasOf != "" {
				of := mustLookup(Scope(scope), k.AliasOf)
				of.aliases = append(of.aliases, k)
			}
			for _, name := range k.Broker { // the broker's table comes first
				k.brokerKeys = append(k.brokerKeys, mustLookup(Broker, name))
			}
		}
	}
}

// Keys lists the keys of a scope by name. The keys are shared: do not change them.
func Keys(scope Scope) []*Key { return slices.Clone(sorted[scope]) }

// Lookup finds a key. Broker keys may be written for one listener: listener.name.NAME.KEY or listener.name.NAME.MECHANISM.KEY.
func Lookup(scope Scope, name string) (*Key, bool) {
	if k := index[scope][name]; k != nil {
		return k, true
	}
	if rest, ok := strings.CutPrefix(name, "listener.name."); ok && scope == Broker {
		for range 2 { // the listener's name, then perhaps a mechanism's
			if _, rest, ok = strings.Cut(rest, "."); !ok {
				break
			}
			if base := index[Broker][rest]; base != nil {
				k := *base
				k.Name, k.NoDefault, k.Default, k.Hidden, k.Mode = name, true, "", true, PerBroker
				return &k, true
			}
		}
	}
	return nil, false
}

// mustLookup is Lookup for names that stand in the source.
func mustLookup(scope Scope, name string) *Key {
	k, ok := Lookup(scope, name)
	if !ok {
		panic("config: there is no " + scope.String() + " key " + name)
	}
	return k
}

// removed are keys that stand in many files and that Kafka itself no longer has; and why.
var removed = []struct{ prefix, why string }{
	{"zookeeper.", "there is no ZooKeeper: the metadata lives in the brokers"},
	{"inter.broker.protocol.version", "Kafka 4 has removed it: brokers agree on versions by themselves"},
	{"log.message.format.version", "Kafka 4 has removed it: records are always in format v2"},
	{"message.format.version", "Kafka 4 has removed it: records are always in format v2"},
	{"log.message.timestamp.difference.max.ms", "Kafka 4 has removed it: use log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms"},
	{"message.timestamp.difference.max.ms", "Kafka 4 has removed it: use message.timestamp.before.max.ms and message.timestamp.after.max.ms"},
	{"message.downconversion.enable", "Kafka 4 has removed it: old formats are never written"},
	{"log.message.downconversion.enable", "Kafka 4 has removed it: old formats are never written"},
	{"control.plane.listener.name", "Kafka 4 has removed it: use controller.listener.names"},
	{"broker.id.generation.enable", "Kafka 4 has removed it: set node.id"},
	{"reserved.broker.max.id", "Kafka 4 has removed it: set node.id"},
	{"password.encoder.", "Kafka 4 has removed it"},
	{"delegation.token.master.key", "Kafka 4 has removed it: use delegation.token.secret.key"},
	{"offsets.commit.required.acks", "Kafka 4 has removed it"},
}

// whyRemoved explains a key of Kafka's past; empty if it is none.
func whyRemoved(name string) string {
	for _, r := range removed {
		if name == r.prefix || strings.HasSuffix(r.prefix, ".") && strings.HasPrefix(name, r.prefix) {
			return r.why
		}
	}
	return ""
}
