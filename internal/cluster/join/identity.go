package join

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/vfs"
)

// Member is a node of the store of metadata.
type Member struct {
	Node      kafka.BrokerID `json:"node"`
	Directory kafka.UUID     `json:"directory"`
	Peer      string         `json:"peer"` // HOST:PORT of its peer port
}

// Identity is what a data directory knows of itself (JOI-1).
type Identity struct {
	// Directory is drawn when the directory is made. A node that lost its disk has another.
	Directory kafka.UUID `json:"directory"`
	// ClusterID is empty until the node belongs to a cluster, and Node is NoBroker.
	ClusterID string         `json:"cluster_id,omitempty"`
	Node      kafka.BrokerID `json:"node"`
	// Voter: this node keeps a copy of the metadata's store and votes in it. Others reach the store through those that do.
	Voter bool `json:"voter,omitempty"`
	// Founding: Members are those that the store began with. Otherwise they are those it had when this node was admitted.
	Founding bool     `json:"founding,omitempty"`
	Members  []Member `json:"members,omitempty"`
	// Known are addresses of peer ports at which the store was lately to be had, for a broker without a vote that comes back after all Members
	// have gone.
	Known []string `json:"known,omitempty"`
	// EmptyDisk: the node has taken over the id of a lost disk, and has not told the controller so yet.
	EmptyDisk bool `json:"empty_disk,omitempty"`
	// Store is where the store is kept, if not in the brokers: an external etcd.
	Store string `json:"store,omitempty"`
	// Nodes are all that were there when the cluster was founded, voters or not.
	Nodes []Member `json:"nodes,omitempty"`
	// Listen is where it listened when it last started, as settings: a node that comes back needs no flag but its data directory.
	Listen map[string]string `json:"listen,omitempty"`
	// Promised is the directory of the founder that a fresh node waits for, and PromisedTo its address.
	Promised   kafka.UUID `json:"promised"`
	PromisedTo string     `json:"promised_to,omitempty"`
}

// Belongs reports whether the node is of a cluster.
func (i *Identity) Belongs() bool { return i.ClusterID != "" }

// fileName is the identity's file in the metadata directory.
const fileName = "node.json"

// maxFile bounds the file; one with a thousand nodes has some 100 KB.
const maxFile = 4 << 20

// Load reads the identity of a metadata directory. A directory without one gives ok false.
func Load(fsys vfs.FS, dir string) (id Identity, ok bool, err error) {
	path := filepath.Join(dir, fileName)
	f, err := fsys.Open(path, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{Node: kafka.NoBroker}, false, nil
	}
	if err != nil {
		return id, false, fmt.Errorf("read the node's identity: %w", err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil || size > maxFile {
		return id, false, fmt.Errorf("read the node's identity %s: %d bytes (%w)", path, size, err)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return id, false, fmt.Errorf("read the node's identity: %w", err)
	}
	if id, err = decodeIdentity(b); err != nil {
		return id, false, fmt.Errorf("%s: %w", path, err)
	}
	return id, true, nil
}

func decodeIdentity(b []byte) (id Identity, err error) {
	id.Node = kafka.NoBroker
	if err := json.Unmarshal(b, &id); err != nil {
		return id, fmt.Errorf("is no identity of a node: %w", err)
	}
	if id.Directory.IsZero() {
		return id, errors.New("is no identity of a node: it has no directory id")
	}
	if id.Belongs() && id.Node < 0 {
		return id, fmt.Errorf("is of cluster %s and has no node id", id.ClusterID)
	}
	return id, nil
}

// Save writes the identity durably, whole or not at all.
func Save(fsys vfs.FS, dir string, id Identity) error {
	b, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return err
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return err
	}
	path := filepath.Join(dir, fileName)
	if err := write(fsys, path+".new", append(b, '\n')); err != nil {
		return fmt.Errorf("write the node's identity: %w", err)
	}
	if err := fsys.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write the node's identity: %w", err)
	}
	parent := filepath.Dir(dir) // the data directory, which may be as new as this one
	return errors.Join(fsys.SyncDir(dir), fsys.SyncDir(parent), fsys.SyncDir(filepath.Dir(parent)))
}

func write(fsys vfs.FS, path string, b []byte) (err error) {
	f, err := fsys.Open(path, vfs.Write|vfs.Create|vfs.Truncate)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteAt(b, 0); err != nil {
		return err
	}
	return f.Sync()
}
