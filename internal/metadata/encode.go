package metadata

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
)

// versionOf is the version a record is written in: the lowest that has all it says. So what a cluster of one writes stays readable for a
// release that knows of no cluster. Topics, partitions and brokers have version 2, with what replication needs, brokers version 3 from
// LevelBrokerFeatures on; all else has 1.
func versionOf(r Record) uint64 {
	runs := func(list []PartitionRun) uint64 {
		for i := range list {
			if list[i].Partition.beyondPlain() {
				return 2
			}
		}
		return 1
	}
	switch r := r.(type) {
	case *TopicRecord:
		return runs(r.Partitions)
	case *PartitionRecord:
		return runs(r.Runs)
	case *PartitionChangeRecord:
		if r.State.beyondPlain() {
			return 2
		}
	case *BrokerRecord:
		if len(r.Broker.Features) > 0 {
			return 3
		}
		if b := &r.Broker; !b.Incarnation.IsZero() || len(b.Peers) > 0 || b.ShuttingDown || b.Draining {
			return 2
		}
	}
	return 1
}

// latestVersion is the highest version of a type that this build reads.
func latestVersion(k kind) uint64 {
	switch k {
	case kindBroker:
		if SupportedLevel(FeatureVersion) >= LevelBrokerFeatures {
			return 3
		}
		return 2
	case kindTopic, kindPartitions, kindPartitionChange:
		return 2
	}
	return 1
}

func (p *Partition) beyondPlain() bool { return len(p.ELR)+len(p.Adding)+len(p.Removing) > 0 }

// AppendRecords appends the encoding of a list of records to dst: their number, then for each one its type, its version, the length
// of its body and the body. Docs: docs/format/metadata.md.
func AppendRecords(dst []byte, records []Record) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(records)))
	var body []byte
	for _, r := range records {
		v := versionOf(r)
		body = r.append(body[:0], v)
		dst = binary.AppendUvarint(dst, uint64(r.kind()))
		dst = binary.AppendUvarint(dst, v)
		dst = binary.AppendUvarint(dst, uint64(len(body)))
		dst = append(dst, body...)
	}
	return dst
}

func (r *TopicRecord) append(dst []byte, v uint64) []byte {
	dst = append(dst, r.ID[:]...)
	dst = appendString(dst, r.Name)
	dst = appendBool(dst, r.Internal)
	return appendRuns(dst, r.Partitions, v)
}

func (r *PartitionRecord) append(dst []byte, v uint64) []byte {
	dst = append(dst, r.TopicID[:]...)
	dst = binary.AppendVarint(dst, int64(r.First))
	return appendRuns(dst, r.Runs, v)
}

func (r *PartitionChangeRecord) append(dst []byte, v uint64) []byte {
	dst = append(dst, r.TopicID[:]...)
	dst = binary.AppendVarint(dst, int64(r.Partition))
	return appendPartition(dst, &r.State, v)
}

func (r *RemoveTopicRecord) append(dst []byte, _ uint64) []byte { return append(dst, r.ID[:]...) }

func (r *ConfigRecord) append(dst []byte, _ uint64) []byte {
	dst = append(dst, byte(r.Resource.Type))
	dst = appendString(dst, r.Resource.Name)
	dst = appendString(dst, r.Name)
	dst = appendBool(dst, r.Value != nil)
	if r.Value != nil {
		dst = appendString(dst, *r.Value)
	}
	return dst
}

func (r *BrokerRecord) append(dst []byte, v uint64) []byte {
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
	if v == 1 {
		return dst
	}
	dst = append(dst, b.Incarnation[:]...)
	dst = binary.AppendUvarint(dst, uint64(len(b.Peers)))
	for _, p := range b.Peers {
		dst = appendString(dst, p)
	}
	dst = appendBool(appendBool(dst, b.ShuttingDown), b.Draining)
	if v == 2 {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.Features)))
	for _, name := range slices.Sorted(maps.Keys(b.Features)) {
		dst = binary.AppendVarint(appendString(dst, name), int64(b.Features[name]))
	}
	return dst
}

func (r *RemoveBrokerRecord) append(dst []byte, _ uint64) []byte {
	return binary.AppendVarint(dst, int64(r.ID))
}

func (r *ClusterRecord) append(dst []byte, _ uint64) []byte { return appendString(dst, r.ID) }

func (r *ProducerIDsRecord) append(dst []byte, _ uint64) []byte {
	return binary.AppendVarint(dst, int64(r.Next))
}

func (r *FeatureLevelRecord) append(dst []byte, _ uint64) []byte {
	return binary.AppendVarint(appendString(dst, r.Name), int64(r.Level))
}

func (r *ControllerRecord) append(dst []byte, _ uint64) []byte {
	return binary.AppendVarint(binary.AppendVarint(dst, int64(r.Controller)), r.Term)
}

func appendRuns(dst []byte, runs []PartitionRun, v uint64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(runs)))
	for i := range runs {
		dst = binary.AppendVarint(dst, int64(runs[i].Count))
		dst = appendPartition(dst, &runs[i].Partition, v)
	}
	return dst
}

// appendPartition leaves the in-sync replicas out when all replicas are in sync in the same order, which is the healthy state.
func appendPartition(dst []byte, p *Partition, v uint64) []byte {
	dst = appendBrokers(dst, p.Replicas)
	partial := !slices.Equal(p.ISR, p.Replicas)
	dst = appendBool(dst, partial)
	if partial {
		dst = appendBrokers(dst, p.ISR)
	}
	dst = binary.AppendVarint(dst, int64(p.Leader))
	dst = binary.AppendVarint(dst, int64(p.LeaderEpoch))
	dst = binary.AppendVarint(dst, int64(p.PartitionEpoch))
	if v == 1 {
		return dst
	}
	return appendBrokers(appendBrokers(appendBrokers(dst, p.ELR), p.Adding), p.Removing)
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
