package broker

import (
	"math"
	"strconv"
	"time"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/replica"
)

// Settings finds the values in force on this node: what was set for a resource, then for this broker, then for all brokers, then what
// the broker started with (CFG-4). app gives it to the controller, to the partitions and to the administrative verbs.
type Settings struct {
	Node   kafka.BrokerID
	Static *config.Static // nil: the defaults
}

// Topic is what the settings of a topic mean as of an image.
func (s Settings) Topic(img *metadata.Image, topic string) config.TopicConfig {
	return s.of(img, metadata.Resource{Type: metadata.ResourceTopic, Name: topic}).Topic()
}

// Group is what the settings of a group mean as of an image; "": the broker's defaults.
func (s Settings) Group(img *metadata.Image, group string) config.GroupConfig {
	return s.of(img, metadata.Resource{Type: metadata.ResourceGroup, Name: group}).Group()
}

// CleanerBackoff is log.cleaner.backoff.ms of this node as of an image.
func (s Settings) CleanerBackoff(img *metadata.Image) time.Duration {
	node := metadata.Resource{Type: metadata.ResourceBroker, Name: strconv.Itoa(int(s.Node))}
	ms, err := strconv.ParseInt(s.Value(img, node, "log.cleaner.backoff.ms"), 10, 64)
	if err != nil { // values are checked when they are set; for the pace of a background task nobody stops
		ms = 15_000
	}
	return time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
}

// ThrottledRates are leader. and follower.replication.throttled.rate of this node as of an image, in bytes a second.
func (s Settings) ThrottledRates(img *metadata.Image) (leader, follower int64) {
	node := metadata.Resource{Type: metadata.ResourceBroker, Name: strconv.Itoa(int(s.Node))}
	rate := func(name string) int64 {
		n, err := strconv.ParseInt(s.Value(img, node, name), 10, 64)
		if err != nil { // values are checked when they are set
			return replica.Unthrottled
		}
		return n
	}
	return rate("leader.replication.throttled.rate"), rate("follower.replication.throttled.rate")
}

// Value is the value in force of a setting of a resource; "" also for null, for a secret and for what is not in the table.
func (s Settings) Value(img *metadata.Image, r metadata.Resource, name string) string {
	return value(s.of(img, r), r, name)
}

// Inherited is the value that a setting of a resource has while nothing is set for the resource itself: controller.Env.Inherited.
func (s Settings) Inherited(img *metadata.Image, r metadata.Resource, name string) string {
	return value(s.layers(img, r, nil), r, name)
}

func value(l *config.Layers, r metadata.Resource, name string) string {
	if e, known := l.Effective(controller.ScopeOf(r.Type), name); known && e.Value != nil {
		return *e.Value
	}
	return ""
}

// of is where the settings of a resource come from.
func (s Settings) of(img *metadata.Image, r metadata.Resource) *config.Layers {
	return s.layers(img, r, img.Configs[r])
}

// layers is of for a resource that has other settings of its own than the image says. Other brokers' static settings are not known
// here, and what is set for all brokers has none.
func (s Settings) layers(img *metadata.Image, r metadata.Resource, own map[string]string) *config.Layers {
	all := metadata.Resource{Type: metadata.ResourceBroker}
	mine := metadata.Resource{Type: metadata.ResourceBroker, Name: strconv.Itoa(int(s.Node))}
	switch r {
	case all:
		return &config.Layers{Static: s.Static, Default: own}
	case mine:
		return &config.Layers{Static: s.Static, Default: img.Configs[all], Broker: own}
	}
	return &config.Layers{Static: s.Static, Default: img.Configs[all], Broker: img.Configs[mine], Resource: own}
}
