package metadata

import (
	"cmp"
	"fmt"
	"strings"
)

// Resource names what a dynamic configuration belongs to, with Kafka's type codes.
type Resource struct {
	Type ResourceType
	Name string
}

// String is like topic:orders, for messages.
func (r Resource) String() string { return r.Type.String() + ":" + r.Name }

func (r Resource) compare(o Resource) int {
	if c := cmp.Compare(r.Type, o.Type); c != 0 {
		return c
	}
	return strings.Compare(r.Name, o.Name)
}

// ResourceType as in Kafka's ConfigResource.
type ResourceType int8

// The types of resources that have configurations.
const (
	ResourceTopic         ResourceType = 2
	ResourceBroker        ResourceType = 4 // name: broker id, or "" for the cluster-wide default
	ResourceBrokerLogger  ResourceType = 8
	ResourceClientMetrics ResourceType = 16
	ResourceGroup         ResourceType = 32
)

func (t ResourceType) String() string {
	switch t {
	case ResourceTopic:
		return "topic"
	case ResourceBroker:
		return "broker"
	case ResourceBrokerLogger:
		return "broker-logger"
	case ResourceClientMetrics:
		return "client-metrics"
	case ResourceGroup:
		return "group"
	}
	return fmt.Sprintf("resource type %d", int8(t))
}

// Configs are the dynamic settings of each resource, only what was set. A resource without settings has no entry.
type Configs map[Resource]map[string]string

// Topic returns the settings of a topic; nil when none was set.
func (c Configs) Topic(name string) map[string]string {
	return c[Resource{Type: ResourceTopic, Name: name}]
}
