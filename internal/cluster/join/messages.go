package join

import (
	"encoding/json"
	"fmt"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Names of the methods on the peer port.
const (
	methodStatus  = "join.status"
	methodPromise = "join.promise"
	methodFound   = "join.found"
	methodRelease = "join.release"
	methodAdmit   = "join.admit"
)

// status says who a node is.
type status struct {
	Directory kafka.UUID     `json:"directory"`
	Peer      string         `json:"peer"`
	ClusterID string         `json:"cluster_id"`
	Node      kafka.BrokerID `json:"node"` // of a fresh one: the one it asks for, NoBroker: any
	Expect    int            `json:"expect"`
	Promised  kafka.UUID     `json:"promised"`
	Admits    bool           `json:"admits"` // lets others into its cluster now
}

// promise asks a fresh node to wait for a founder; release lets it go.
type promise struct {
	Founder kafka.UUID `json:"founder"`
	Peer    string     `json:"peer"`
}

// founding tells those that promised themselves what was founded.
type founding struct {
	Founder   kafka.UUID `json:"founder"`
	ClusterID string     `json:"cluster_id"`
	Voters    []Member   `json:"voters"`
	Nodes     []Member   `json:"nodes"`
}

// Admission asks a member to let a node in.
type Admission struct {
	Directory kafka.UUID     `json:"directory"`
	Peer      string         `json:"peer"`
	Want      kafka.BrokerID `json:"want"`       // NoBroker: any
	ClusterID string         `json:"cluster_id"` // as configured; "": any
}

// Admitted is what it gets.
type Admitted struct {
	ClusterID string         `json:"cluster_id"`
	Node      kafka.BrokerID `json:"node"`
	Voter     bool           `json:"voter"`
	Founding  bool           `json:"founding"` // it is one of those the store begins with
	Members   []Member       `json:"members"`
	// EmptyDisk: the id was that of another directory, whose disk is lost.
	EmptyDisk bool `json:"empty_disk,omitempty"`
	// Store is where the store is kept if not in the brokers.
	Store string `json:"store,omitempty"`
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // these types always encode
	}
	return b
}

func decode[T any](b []byte) (v T, err error) {
	if err := json.Unmarshal(b, &v); err != nil {
		return v, kafka.Errorf(kafka.InvalidRequest, "not understood: %w", err)
	}
	return v, nil
}

func errorf(format string, args ...any) error {
	return kafka.Errorf(kafka.InvalidRequest, "%w", fmt.Errorf(format, args...))
}
