package metadata

import (
	"maps"
	"strconv"
)

// FeatureVersion is the feature that gates the formats on disk and between nodes. Kafka's own metadata.version is not used, because
// its levels name Kafka releases.
const FeatureVersion = "rafka.version"

// Levels of FeatureVersion.
const (
	// LevelFounding is the first one.
	LevelFounding int16 = 1
	// LevelBrokerFeatures: the registration of a broker says which levels it understands.
	LevelBrokerFeatures int16 = 2
)

// supported lists the features this build understands with the highest level of each.
var supported = map[string]int16{FeatureVersion: known()}

// earlier is set by the linker, -X github.com/rafka-io/rafka/internal/metadata.earlier=1, to build a binary that stands for an earlier release: it
// understands FeatureVersion up to that level and reads nothing that came later. Tests of upgrades run it beside the real one.
var earlier = ""

func known() int16 {
	if level, err := strconv.ParseInt(earlier, 10, 16); err == nil && int16(level) >= LevelFounding && int16(level) < LevelBrokerFeatures {
		return int16(level)
	}
	return LevelBrokerFeatures
}

// SupportedFeatures are all features that this build understands, with their highest levels.
func SupportedFeatures() map[string]int16 { return maps.Clone(supported) }

// SupportedLevel is the highest level of a feature that this build understands; 0: it does not know the feature.
func SupportedLevel(feature string) int16 { return supported[feature] }
