package kafkasrv

import (
	"context"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// ApiVersions: v0-5
//
// Behaviour: tells the table of apis.go. A version that we do not know is answered in version 0 with UNSUPPORTED_VERSION and our ranges,
// whatever its body (KIP-511); the response header has version 0 always, because the client cannot know yet what we speak.
// Produce is told from version 0 on, as by Kafka (KAFKA-18659): librdkafka looks for versions 0 to 2 and without them sends its batches
// uncompressed. It then uses the newest version that both know. A request in those versions is refused like any other that is too old.
// v3 flexible, client software, features · v5 the cluster and node that the client believes to talk to (KIP-1242)
// Left out: nothing.
func apiVersions(_ context.Context, r *request, q *kmsg.ApiVersionsRequest, a *kmsg.ApiVersionsResponse) {
	for _, known := range r.conn.srv.apis.list {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = known.key, known.told, known.max
		a.ApiKeys = append(a.ApiKeys, k)
	}
	img := r.conn.srv.broker.Image()
	switch {
	case r.unknown:
		a.ErrorCode = int16(kafka.UnsupportedVersion)
		return
	case r.version >= 3 && !(validSoftware(q.ClientSoftwareName) && validSoftware(q.ClientSoftwareVersion)):
		a.ErrorCode = int16(kafka.InvalidRequest)
		a.ApiKeys = nil
		return
	case r.version >= 5 && (q.ClusterID == nil) != (q.NodeID == -1):
		a.ErrorCode = int16(kafka.InvalidRequest)
		a.ApiKeys = nil
		return
	case r.version >= 5 && q.ClusterID != nil && (*q.ClusterID != img.ClusterID || kafka.BrokerID(q.NodeID) != r.conn.srv.opts.NodeID):
		a.ErrorCode = int16(kafka.RebootstrapRequired)
		a.ApiKeys = nil
		return
	}
	if r.version < 3 {
		return
	}
	r.conn.setSoftware(q.ClientSoftwareName, q.ClientSoftwareVersion)
	a.FinalizedFeaturesEpoch = int64(img.Offset)
	for _, name := range slices.Sorted(maps.Keys(img.Features)) {
		finalized(a, name, img.Features[name])
	}
	supported(a, metadata.FeatureVersion, 1, metadata.SupportedLevel(metadata.FeatureVersion)) // not 0: clients before version 4 of this API choke on it (KIP-1022)
	for _, f := range kafkaFeatures {
		finalized(a, f.name, f.level)
		supported(a, f.name, f.lowest, f.level)
	}
}

// kafkaFeatures are Kafka's own features, at the levels that its clients and tools look for before they use what came with them. They are
// on for good: nothing here depends on them.
//
// metadata.version says which release's metadata the cluster has. Ours has another form; the level is that of Kafka 4.3, the newest that
// operators' tools can name.
var kafkaFeatures = []struct {
	name          string
	lowest, level int16
}{
	{"eligible.leader.replicas.version", 1, 1}, // KIP-966
	{"group.version", 1, 1},                    // KIP-848
	{"metadata.version", 30, 30},               //
	{"share.version", 1, 2},                    // KIP-932, KIP-1191
	{"streams.version", 1, 1},                  // KIP-1071
	{"transaction.version", 1, 2},              // KIP-890
}

// supported tells the levels of a feature that this broker knows.
func supported(a *kmsg.ApiVersionsResponse, name string, lowest, highest int16) {
	f := kmsg.NewApiVersionsResponseSupportedFeature()
	f.Name, f.MinVersion, f.MaxVersion = name, lowest, highest
	a.SupportedFeatures = append(a.SupportedFeatures, f)
}

// finalized tells the level of a feature that is in force.
func finalized(a *kmsg.ApiVersionsResponse, name string, level int16) {
	f := kmsg.NewApiVersionsResponseFinalizedFeature()
	f.Name, f.MinVersionLevel, f.MaxVersionLevel = name, level, level
	a.FinalizedFeatures = append(a.FinalizedFeatures, f)
}

// validSoftware reports whether a client's name or version of itself is letters, digits, '-' and '.', with neither at an end (KIP-511).
func validSoftware(s string) bool {
	for i := range len(s) {
		c := s[i]
		alphanumeric := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !alphanumeric && (c != '-' && c != '.' || i == 0 || i == len(s)-1) {
			return false
		}
	}
	return s != ""
}
