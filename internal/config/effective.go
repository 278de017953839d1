package config

import (
	"strconv"
	"strings"
)

// Source says where a value comes from, with the codes of DescribeConfigs.
type Source int8

// Kafka's sources.
const (
	SourceTopic         Source = 1
	SourceBroker        Source = 2 // dynamic, of this broker
	SourceDefaultBroker Source = 3 // dynamic, of all brokers
	SourceStatic        Source = 4 // file, environment, flag
	SourceDefault       Source = 5
	SourceClientMetrics Source = 7
	SourceGroup         Source = 8
)

// Layers are the places a setting can come from, strongest first: what is set for the resource itself (a topic, a group, a client metrics
// subscription), then the dynamic settings of this broker and of all brokers, then what the broker started with. The maps are borrowed; nil
// is empty. Dynamic values were validated when they were set (CFG-3); one that is invalid nevertheless, written by another version, counts
// as not set.
type Layers struct {
	Static   *Static // nil: nothing was set
	Broker   map[string]string
	Default  map[string]string
	Resource map[string]string
}

// Effective is the value that holds for a setting.
type Effective struct {
	Key      *Key
	Value    *string // nil: null, or sensitive
	Source   Source
	Synonyms []Synonym // every place that has a value, strongest first; the first is the one that holds
}

// Synonym is one place that has a value for a setting.
type Synonym struct {
	Name   string
	Value  *string // nil: sensitive
	Source Source
}

// Effective resolves a setting for DescribeConfigs. ok is false if there is no such key.
func (l *Layers) Effective(scope Scope, name string) (e Effective, ok bool) {
	k, ok := Lookup(scope, name)
	if !ok {
		return e, false
	}
	e = Effective{Key: k, Source: SourceDefault}
	l.each(scope, k, func(name, raw, value string, s Source) (more bool) {
		synonym := Synonym{Name: name, Source: s}
		if !k.Sensitive() {
			synonym.Value = &raw
		}
		if len(e.Synonyms) == 0 {
			e.Source = s
			if !k.Sensitive() {
				e.Value = &value
			}
		}
		e.Synonyms = append(e.Synonyms, synonym)
		return true
	})
	return e, true
}

// Describe resolves all settings of a scope by name, but the hidden ones that nobody has set.
func (l *Layers) Describe(scope Scope) []Effective {
	all := make([]Effective, 0, len(sorted[scope]))
	for _, k := range sorted[scope] {
		if e, _ := l.Effective(scope, k.Name); !k.Hidden || e.Source != SourceDefault {
			all = append(all, e)
		}
	}
	return all
}

// value is the value that holds, and its source; ok is false if it is null.
func (l *Layers) value(scope Scope, k *Key) (value string, s Source, ok bool) {
	s = SourceDefault
	l.each(scope, k, func(_, _, v string, from Source) (more bool) {
		value, s, ok = v, from, true
		return false
	})
	return value, s, ok
}

// each calls visit for every place that has a value for k, strongest first, until it has had enough: with the name and the text there, and
// what that means for k (log.retention.hours=1 is retention.ms=3600000).
func (l *Layers) each(scope Scope, k *Key, visit func(name, raw, value string, s Source) (more bool)) {
	more := true
	// try visits one place: from is the key whose value stands there, under name.
	try := func(from *Key, name, raw string, s Source) {
		raw = strings.TrimSpace(raw)
		if !more || from.check(raw) != "" {
			return
		}
		value := raw
		if from != k && (from.Type == Int || from.Type == Long) {
			value = inUnit(raw, unitOf(name).Milliseconds(), unitOf(k.Name).Milliseconds())
		}
		more = visit(name, raw, value, s)
	}
	brokerKeys := k.brokerKeys
	if scope == Broker {
		brokerKeys = []*Key{k}
	} else {
		s := [...]Source{Topic: SourceTopic, Group: SourceGroup, ClientMetrics: SourceClientMetrics}[scope]
		if v, ok := l.Resource[k.Name]; ok {
			try(k, k.Name, v, s)
		}
		for _, a := range k.aliases {
			if v, ok := l.Resource[a.Name]; ok {
				try(a, a.Name, v, s)
			}
		}
	}
	for _, b := range brokerKeys {
		if v, ok := l.Broker[b.Name]; ok {
			try(b, b.Name, v, SourceBroker)
		}
	}
	for _, b := range brokerKeys {
		if v, ok := l.Default[b.Name]; ok {
			try(b, b.Name, v, SourceDefaultBroker)
		}
	}
	for _, b := range brokerKeys {
		if l.Static == nil {
			break
		}
		if v, ok := l.Static.values[b.Name]; ok && v.origin == originDefault {
			try(b, b.Name, v.value, SourceDefault)
			return // this default stands for the table's
		} else if ok {
			try(b, b.Name, v.value, SourceStatic)
		}
	}
	if len(k.brokerKeys) == 0 {
		if more && !k.NoDefault {
			visit(k.Name, k.Default, k.Default, SourceDefault)
		}
		return
	}
	for _, b := range k.brokerKeys {
		if !b.NoDefault {
			try(b, b.Name, b.Default, SourceDefault)
		}
	}
}

// inUnit is a time of so many units of one length in units of another; negative ones mean "none" or "no limit" and stay. What does not fit
// is the longest there is.
func inUnit(raw string, from, to int64) string {
	n := parseInt(raw)
	if from == to || n <= 0 {
		return raw
	}
	if n > (1<<63-1)/(from/to) {
		return strconv.FormatInt(1<<63-1, 10)
	}
	return strconv.FormatInt(n*(from/to), 10)
}
