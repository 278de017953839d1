package metadata

import "maps"

// FeatureVersion is the feature that gates the formats on disk and between nodes. Kafka's own metadata.version is not used, because
// its levels name Kafka releases.
const FeatureVersion = "rafka.version"

// supported lists the features this build understands with the highest level of each.
var supported = map[string]int16{FeatureVersion: 1}

// SupportedFeatures are all features that this build understands, with their highest levels.
func SupportedFeatures() map[string]int16 { return maps.Clone(supported) }

// SupportedLevel is the highest level of a feature that this build understands; 0: it does not know the feature.
func SupportedLevel(feature string) int16 { return supported[feature] }
