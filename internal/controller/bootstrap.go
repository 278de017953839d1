package controller

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/rafka-io/rafka/internal/metadata"
)

// ErrForeignData is in the chain of errors about a data directory that belongs to another node or cluster.
var ErrForeignData = errors.New("the data directory belongs to another node")

// Node is a broker that starts.
type Node struct {
	Broker metadata.Broker // its Epoch is ignored
	// ClusterID is what the configuration says; "": whatever the cluster has, and NewClusterID for a new one.
	ClusterID    string
	NewClusterID string
}

// Bootstrap makes the records by which a cluster of one node begins, or by which a node that starts again says what changed since:
// mostly none. Errors: ErrForeignData.
func Bootstrap(img *metadata.Image, n Node) ([]metadata.Record, error) {
	if img.ClusterID != "" && n.ClusterID != "" && img.ClusterID != n.ClusterID {
		return nil, fmt.Errorf("its cluster id is %q, the configured one %q; drop cluster.id or use another data directory: %w", img.ClusterID, n.ClusterID, ErrForeignData)
	}
	was := img.Brokers[n.Broker.ID]
	if was == nil && len(img.Brokers) > 0 {
		return nil, fmt.Errorf("it has no broker %d but %v; set node.id to that or use another data directory: %w", n.Broker.ID, slices.Sorted(maps.Keys(img.Brokers)), ErrForeignData)
	}
	var records []metadata.Record
	if img.ClusterID == "" {
		id := n.ClusterID
		if id == "" {
			id = n.NewClusterID
		}
		records = append(records, &metadata.ClusterRecord{ID: id})
	}
	if level := metadata.SupportedLevel(metadata.FeatureVersion); len(img.Features) == 0 {
		records = append(records, &metadata.FeatureLevelRecord{Name: metadata.FeatureVersion, Level: level})
	}
	b := n.Broker
	b.Epoch = 1
	if was != nil {
		b.Epoch = was.Epoch
	}
	if was == nil || !reflect.DeepEqual(*was, b) {
		if was != nil {
			b.Epoch++
		}
		records = append(records, &metadata.BrokerRecord{Broker: b})
	}
	if img.Controller != b.ID {
		records = append(records, &metadata.ControllerRecord{Controller: b.ID, Term: img.Term + 1})
	}
	return records, nil
}
