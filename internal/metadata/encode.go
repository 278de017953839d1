package metadata

import (
	"encoding/binary"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
)

// version is the version every record type is at now. A type whose layout changes gets a number of its own here, a golden line
// for each version, and a decoder that still reads the older ones.
const version = 1

// AppendRecords appends the encoding of a list of records to dst: their number, then for each one its type, its version, the length
// of its body and the body. Docs: docs/format/metadata.md.
func AppendRecords(dst []byte, records []Record) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(records)))
	var body []byte
	for _, r := range records {
		body = r.append(body[:0])
		dst = binary.AppendUvarint(dst, uint64(r.kind()))
		dst = binary.AppendUvarint(dst, version)
		dst = binary.AppendUvarint(dst, uint64(len(body)))
		dst = append(dst, body...)
	}
	return dst
}

func (r *TopicRecord) append(dst []byte) []byte {
	dst = append(dst, r.ID[:]...)
	dst = appendString(dst, r.Name)
	dst = appendBool(dst, r.Internal)
	return appendRuns(dst, r.Partitions)
}

func (r *PartitionRecord) append(dst []byte) []byte {
	dst = append(dst, r.TopicID[:]...)
	dst = binary.AppendVarint(dst, int64(r.First))
	return appendRuns(dst, r.Runs)
}

func (r *PartitionChangeRecord) append(dst []byte) []byte {
	dst = append(dst, r.TopicID[:]...)
	dst = binary.AppendVarint(dst, int64(r.Partition))
	return appendPartition(dst, r.State)
}

func (r *RemoveTopicRecord) append(dst []byte) []byte { return append(dst, r.ID[:]...) }

func (r *ConfigRecord) append(dst []byte) []byte {
	dst = append(dst, byte(r.Resource.Type))
	dst = appendString(dst, r.Resource.Name)
	dst = appendString(dst, r.Name)
	dst = appendBool(dst, r.Value != nil)
	if r.Value != nil {
		dst = appendString(dst, *r.Value)
	}
	return dst
}

func (r *BrokerRecord) append(dst []byte) []byte {
	b := &r.Broker
	dst = binary.AppendVarint(dst, int64(b.ID))
	dst = binary.AppendVarint(dst, b.Epoch)
	dst = appendString(dst, b.Rack)
	dst = appendBool(dst, b.Fenced)
	dst = binary.AppendUvarint(dst, uint64(len(b.Endpoints)))
	for _, e := range b.Endpoints {
		dst = appendString(dst, e.Listener)
		dst = appendString(dst, e.Host)
		dst = binary.AppendVarint(dst, int64(e.Port))
	}
	return dst
}

func (r *ClusterRecord) append(dst []byte) []byte { return appendString(dst, r.ID) }

func (r *ProducerIDsRecord) append(dst []byte) []byte {
	return binary.AppendVarint(dst, int64(r.Next))
}

func (r *FeatureLevelRecord) append(dst []byte) []byte {
	return binary.AppendVarint(appendString(dst, r.Name), int64(r.Level))
}

func (r *ControllerRecord) append(dst []byte) []byte {
	return binary.AppendVarint(binary.AppendVarint(dst, int64(r.Controller)), r.Term)
}

func appendRuns(dst []byte, runs []PartitionRun) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(runs)))
	for _, r := range runs {
		dst = binary.AppendVarint(dst, int64(r.Count))
		dst = appendPartition(dst, r.Partition)
	}
	return dst
}

// appendPartition leaves the in-sync replicas out when all replicas are in sync in the same order, which is the healthy state.
func appendPartition(dst []byte, p Partition) []byte {
	dst = appendBrokers(dst, p.Replicas)
	partial := !slices.Equal(p.ISR, p.Replicas)
	dst = appendBool(dst, partial)
	if partial {
		dst = appendBrokers(dst, p.ISR)
	}
	dst = binary.AppendVarint(dst, int64(p.Leader))
	dst = binary.AppendVarint(dst, int64(p.LeaderEpoch))
	return binary.AppendVarint(dst, int64(p.PartitionEpoch))
}

func appendBrokers(dst []byte, ids []kafka.BrokerID) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(ids)))
	for _, id := range ids {
		dst = binary.AppendVarint(dst, int64(id))
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}
