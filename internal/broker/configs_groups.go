package broker

import (
	"sync/atomic"

	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/metadata"
)

// GroupSettings is Settings for who asks for those of groups with every heartbeat: what they mean is read once for each image. Groups that have
// settings of their own are few, and are read each time.
type GroupSettings struct {
	Settings
	latest atomic.Pointer[groupDefaults]
}

// groupDefaults are what groups without settings of their own have as of an image.
type groupDefaults struct {
	img    *metadata.Image
	config config.GroupConfig
}

// NewGroupSettings returns GroupSettings over s.
func NewGroupSettings(s Settings) *GroupSettings { return &GroupSettings{Settings: s} }

// Group is Settings.Group.
func (s *GroupSettings) Group(img *metadata.Image, group string) config.GroupConfig {
	if len(img.Configs[metadata.Resource{Type: metadata.ResourceGroup, Name: group}]) > 0 {
		return s.Settings.Group(img, group)
	}
	d := s.latest.Load()
	if d == nil || d.img != img {
		d = &groupDefaults{img, s.Settings.Group(img, "")}
		s.latest.Store(d)
	}
	return d.config
}
