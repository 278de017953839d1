package broker

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rafka-io/rafka/internal/metadata"
)

// ListConfigResources lists the resources of those types that have, or can have, settings: every topic, every broker and its loggers,
// and the groups and client metrics for which something was set. No types: all. Unknown types have no resources.
func (a *admin) ListConfigResources(_ *Session, types []metadata.ResourceType) []metadata.Resource {
	img := a.opts.Controller.Image()
	if len(types) == 0 {
		types = []metadata.ResourceType{
			metadata.ResourceTopic, metadata.ResourceBroker, metadata.ResourceBrokerLogger, metadata.ResourceClientMetrics, metadata.ResourceGroup,
		}
	}
	var list []metadata.Resource
	for _, t := range slices.Compact(slices.Sorted(slices.Values(types))) {
		switch t {
		case metadata.ResourceTopic:
			for _, topic := range img.Topics.Sorted() {
				list = append(list, metadata.Resource{Type: t, Name: topic.Name})
			}
		case metadata.ResourceBroker, metadata.ResourceBrokerLogger:
			for _, id := range slices.Sorted(maps.Keys(img.Brokers)) {
				list = append(list, metadata.Resource{Type: t, Name: strconv.Itoa(int(id))})
			}
		case metadata.ResourceClientMetrics, metadata.ResourceGroup:
			list = append(list, withSettings(img, t)...)
		}
	}
	return list
}

func withSettings(img *metadata.Image, t metadata.ResourceType) []metadata.Resource {
	var list []metadata.Resource
	for r := range img.Configs {
		if r.Type == t {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b metadata.Resource) int { return strings.Compare(a.Name, b.Name) })
	return list
}
