package broker

import (
	"log/slog"
	"strconv"
	"strings"

	"github.com/rafka-io/rafka/internal/controller/loop"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// AdminOptions are what the administrative verbs work with. Everything is required.
type AdminOptions struct {
	NodeID kafka.BrokerID
	// Controller decides changes and has the images.
	Controller *loop.Loop
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
