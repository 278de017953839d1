package kafkasrv

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// DescribeConfigs: v1-4
//
// Behaviour: effective settings with their source. A resource named twice is INVALID_REQUEST the second time; when the answer would pass
// 256 MiB, the resources left are refused with the advice to ask for fewer.
// v1 source and synonyms · v3 type and documentation · v4 flexible
// Left out: nothing.
func describeConfigs(_ context.Context, r *request, q *kmsg.DescribeConfigsRequest, a *kmsg.DescribeConfigsResponse) {
	told := make(map[metadata.Resource]bool, len(q.Resources))
	size := int64(0)
	for i := range q.Resources {
		ask := &q.Resources[i]
		at := metadata.Resource{Type: metadata.ResourceType(ask.ResourceType), Name: ask.ResourceName}
		m := kmsg.NewDescribeConfigsResponseResource()
		m.ResourceType, m.ResourceName = ask.ResourceType, ask.ResourceName
		switch {
		case told[at]:
			m.ErrorCode, m.ErrorMessage = codeAndMessage(kafka.Errorf(kafka.InvalidRequest, "%s is named more than once in the request", at))
		case size > maxConfigsAnswer:
			m.ErrorCode, m.ErrorMessage = codeAndMessage(kafka.Errorf(kafka.InvalidRequest, "the answer is too large; describe fewer resources in one request"))
		default:
			told[at] = true
			size += r.describeResource(q, broker.ConfigQuery{Resource: at, Names: ask.ConfigNames}, &m)
		}
		a.Resources = append(a.Resources, m)
	}
}

const (
	// maxConfigsAnswer bounds one answer, in bytes of memory.
	maxConfigsAnswer = 256 << 20
	// configsCost is what the settings of one resource cost in an answer, about, in bytes; configCost and synonymCost its parts.
	configsCost = 12 << 10
	configCost  = 320
	synonymCost = 96
)

// describeResource fills in one resource and returns what it costs.
func (r *request) describeResource(q *kmsg.DescribeConfigsRequest, ask broker.ConfigQuery, m *kmsg.DescribeConfigsResponseResource) int64 {
	answers := r.conn.srv.broker.DescribeConfigs(r.session, []broker.ConfigQuery{ask})
	if len(answers) != 1 {
		m.ErrorCode = int16(kafka.UnknownServerError)
		return configCost
	}
	if err := answers[0].Err; err != nil {
		m.ErrorCode, m.ErrorMessage = codeAndMessage(err)
		return configCost
	}
	size := int64(configCost)
	m.ErrorMessage = new(string) // empty and not null on success: so it is with Kafka
	m.Configs = make([]kmsg.DescribeConfigsResponseResourceConfig, len(answers[0].Configs))
	for i := range answers[0].Configs {
		c, entry := &answers[0].Configs[i], &m.Configs[i]
		entry.Default()
		entry.Name, entry.Value, entry.ReadOnly, entry.IsSensitive = c.Name, c.Value, c.ReadOnly, c.Sensitive
		entry.Source, entry.ConfigType = kmsg.ConfigSource(c.Source), kmsg.ConfigType(c.Type)
		if q.IncludeDocumentation {
			entry.Documentation = optional(c.Doc)
			size += int64(len(c.Doc))
		}
		if q.IncludeSynonyms {
			for _, s := range c.Synonyms {
				entry.ConfigSynonyms = append(entry.ConfigSynonyms, kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{
					Name: s.Name, Value: s.Value, Source: kmsg.ConfigSource(s.Source),
				})
			}
			size += int64(len(c.Synonyms)) * synonymCost
		}
		size += configCost
	}
	return size
}

// describeConfigsCost counts all settings of each resource.
func describeConfigsCost(r *request) int64 { return int64(r.content.Elements) * configsCost }
