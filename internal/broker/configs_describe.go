package broker

import (
	"slices"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// DescribedConfig is one setting as DescribeConfigs tells it, with Kafka's codes.
type DescribedConfig struct {
	Name      string
	Value     *string // nil: sensitive or null
	ReadOnly  bool
	Source    ConfigSource
	Sensitive bool
	Type      int8 // Kafka's ConfigType: 1 boolean 2 string 3 int 4 short 5 long 6 double 7 list 8 class 9 password
	Doc       string
	Synonyms  []ConfigSynonym
}

// ConfigSynonym is one place a value can come from, in the order of precedence.
type ConfigSynonym struct {
	Name   string
	Value  *string
	Source ConfigSource
}

// ConfigSource with Kafka's codes.
type ConfigSource int8

// Where the value of a setting comes from.
const (
	SourceTopic         ConfigSource = 1
	SourceBroker        ConfigSource = 2 // dynamic, of this broker
	SourceDefaultBroker ConfigSource = 3 // dynamic, of all brokers
	SourceStatic        ConfigSource = 4 // file, environment, flag
	SourceDefault       ConfigSource = 5
	SourceBrokerLogger  ConfigSource = 6
	SourceClientMetrics ConfigSource = 7
	SourceGroup         ConfigSource = 8
)

// ConfigQuery asks for settings of a resource; no Names: all.
type ConfigQuery struct {
	metadata.Resource
	Names []string
}

// ConfigAnswer answers a ConfigQuery.
type ConfigAnswer struct {
	Err     error
	Configs []DescribedConfig
}

func (q *ConfigQuery) wants(name string) bool {
	return len(q.Names) == 0 || slices.Contains(q.Names, name)
}

// DescribeConfigs tells the settings of resources with where each value comes from. Settings that do not exist are left out; groups and
// client metrics need not exist. One answer for each query, in order.
//
// Codes: UnknownTopicOrPartition, InvalidTopicException, InvalidRequest (another broker, no name, no such type).
func (a *admin) DescribeConfigs(_ *Session, queries []ConfigQuery) []ConfigAnswer {
	img := a.opts.Controller.Image()
	answers := make([]ConfigAnswer, len(queries))
	for i := range queries {
		answers[i] = a.describe(img, &queries[i])
	}
	return answers
}

func (a *admin) describe(img *metadata.Image, q *ConfigQuery) ConfigAnswer {
	if q.Type == metadata.ResourceBrokerLogger {
		return a.describeLoggers(q)
	}
	if err := a.mayDescribe(img, q.Resource); err != nil {
		return ConfigAnswer{Err: err}
	}
	answer := ConfigAnswer{}
	for _, e := range a.opts.Settings.of(img, q.Resource).Describe(controller.ScopeOf(q.Type)) {
		if q.Resource == (metadata.Resource{Type: metadata.ResourceBroker}) && e.Source != config.SourceDefaultBroker {
			continue // of all brokers together only what was set for all is known
		}
		if q.wants(e.Key.Name) {
			answer.Configs = append(answer.Configs, describe(q.Type, e))
		}
	}
	return answer
}

func (a *admin) mayDescribe(img *metadata.Image, r metadata.Resource) error {
	switch r.Type {
	case metadata.ResourceTopic:
		if err := controller.CheckTopicName(r.Name); err != nil {
			return err
		}
		if img.Topics.ByName(r.Name) == nil {
			return kafka.UnknownTopicOrPartition
		}
	case metadata.ResourceBroker:
		if r.Name != "" && r.Name != a.nodeName() {
			return kafka.Errorf(kafka.InvalidRequest, "Unexpected broker id, expected %s or empty string, but received %s", a.nodeName(), r.Name)
		}
	case metadata.ResourceGroup:
		if r.Name == "" {
			return kafka.Errorf(kafka.InvalidRequest, "Group name must not be empty")
		}
	case metadata.ResourceClientMetrics:
		if r.Name == "" {
			return kafka.Errorf(kafka.InvalidRequest, "Client metrics subscription name must not be empty")
		}
	default:
		return kafka.Errorf(kafka.InvalidRequest, "Unsupported resource type: %d", r.Type)
	}
	return nil
}

// describe tells one setting in the words of the contract.
func describe(t metadata.ResourceType, e config.Effective) DescribedConfig {
	d := DescribedConfig{
		Name: e.Key.Name, Value: e.Value, Source: ConfigSource(e.Source), Type: int8(e.Key.Type), Doc: e.Key.Doc, Sensitive: e.Key.Sensitive(),
		ReadOnly: t == metadata.ResourceBroker && e.Key.Mode == config.ReadOnly,
	}
	for _, s := range e.Synonyms {
		d.Synonyms = append(d.Synonyms, ConfigSynonym{Name: s.Name, Value: s.Value, Source: ConfigSource(s.Source)})
	}
	return d
}

// describeNewTopic tells the settings of a topic that was just created, or would have been.
func (a *admin) describeNewTopic(img *metadata.Image, t *NewTopic) []DescribedConfig {
	r := metadata.Resource{Type: metadata.ResourceTopic, Name: t.Name}
	own := map[string]string{}
	for _, c := range t.Configs {
		own[c.Name] = *c.Value // without a value the topic was refused
	}
	var configs []DescribedConfig
	for _, e := range a.opts.Settings.layers(img, r, own).Describe(config.Topic) {
		configs = append(configs, describe(r.Type, e))
	}
	return configs
}
