package broker

import (
	"context"
	"log/slog"
	"strconv"
	"strings"

	"github.com/rafka-io/rafka/internal/controller"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Controller decides changes, wherever in the cluster it is, and has this node's images: *loop.Loop. What it changed is in the image when it
// returns.
type Controller interface {
	ProducerIDs
	Image() *metadata.Image
	CreateTopics(ctx context.Context, topics []controller.NewTopic, validateOnly bool) []controller.CreatedTopic
	DeleteTopics(ctx context.Context, topics []controller.TopicRef) []controller.DeletedTopic
	CreatePartitions(ctx context.Context, topics []controller.MorePartitions, validateOnly bool) []error
	AlterConfigs(ctx context.Context, resources []controller.AlterResource, validateOnly bool) []error
	ElectLeaders(ctx context.Context, kind int8, partitions []kafka.TopicPartition) ([]controller.ElectedPartition, error)
	AlterReassignments(ctx context.Context, list []controller.Reassignment, allowReplicationChange bool) []error
	UnregisterBroker(ctx context.Context, id kafka.BrokerID) error
	UpdateFeatures(ctx context.Context, updates []controller.FeatureUpdate, validateOnly bool) []error
}

// AdminOptions are what the administrative verbs work with. Everything without a default in brackets is required.
type AdminOptions struct {
	NodeID kafka.BrokerID
	// Controller decides changes and has the images.
	Controller Controller
	// Quorum are the nodes that keep the metadata. [this node alone]
	Quorum Quorum
	// Settings finds the values that are in force.
	Settings Settings
	// LogLevel is the level of this process's logger.
	LogLevel *slog.LevelVar
}

// admin is the administrative verbs; Broker embeds it. Each verb that changes something returns when this node's image has the change
// and the partitions it brought are served: you read what you wrote.
type admin struct {
	opts AdminOptions
}

// nodeName is this broker's name as a resource.
func (a *admin) nodeName() string { return strconv.Itoa(int(a.opts.NodeID)) }

// autoCreate is auto.create.topics.enable.
func (a *admin) autoCreate(img *metadata.Image) bool {
	r := metadata.Resource{Type: metadata.ResourceBroker, Name: a.nodeName()}
	return strings.EqualFold(a.opts.Settings.Value(img, r, "auto.create.topics.enable"), "true")
}
