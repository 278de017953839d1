package kafkasrv

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// listedTypes are the kinds of resources that have settings.
var listedTypes = []metadata.ResourceType{
	metadata.ResourceTopic, metadata.ResourceBroker, metadata.ResourceBrokerLogger, metadata.ResourceClientMetrics, metadata.ResourceGroup,
}

// ListConfigResources: v0-1
//
// Behaviour: names the resources of the kinds asked for, or of all kinds. An unknown kind is UNSUPPORTED_VERSION.
// v0 client metrics only (ListClientMetricsResources) · v1 by kind (KIP-1142)
// Left out: nothing.
func listConfigResources(_ context.Context, r *request, q *kmsg.ListConfigResourcesRequest, a *kmsg.ListConfigResourcesResponse) {
	types := []metadata.ResourceType{metadata.ResourceClientMetrics}
	if r.version >= 1 {
		types = listedTypes
		if len(q.ResourceTypes) > 0 {
			types = nil
		}
		for _, code := range q.ResourceTypes {
			t := metadata.ResourceType(code)
			if !slices.Contains(listedTypes, t) {
				a.ErrorCode = int16(kafka.UnsupportedVersion)
				return
			}
			if !slices.Contains(types, t) {
				types = append(types, t)
			}
		}
	}
	for _, res := range r.conn.srv.broker.ListConfigResources(r.session, types) {
		m := kmsg.NewListConfigResourcesResponseConfigResource()
		m.Name, m.Type = res.Name, int8(res.Type)
		a.ConfigResources = append(a.ConfigResources, m)
	}
}

// listConfigResourcesCost counts all topics and what else has settings, 128 bytes each.
func listConfigResourcesCost(r *request) int64 {
	img := r.conn.srv.broker.Image()
	return int64(img.Topics.Len()+len(img.Configs)+len(img.Brokers)) * 128
}
