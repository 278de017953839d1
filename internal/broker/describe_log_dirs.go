package broker

import (
	"cmp"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
)

// LogDir is one data directory (DescribeLogDirs).
type LogDir struct {
	Err         error
	Path        string
	Total, Free int64 // -1: unknown
	Logs        []LogInfo
}

// LogInfo is one partition's log in a LogDir.
type LogInfo struct {
	kafka.TopicPartition
	Size int64
	Lag  int64
}

// DescribeLogDirs tells the state of each data directory and the size of its logs, by topic and partition; want chooses which, nil: all.
// A directory that failed has kafka.KafkaStorageError and no logs.
func (b *Broker) DescribeLogDirs(_ *Session, want func(kafka.TopicPartition) bool) []LogDir {
	states := b.opts.Replicas.Directories()
	dirs := make([]LogDir, len(states))
	for i, s := range states {
		dirs[i] = LogDir{Path: s.Path, Total: bytesOrUnknown(s.Total, s.Total), Free: bytesOrUnknown(s.Free, s.Total)}
		if s.Failed != nil {
			dirs[i].Err = kafka.Errorf(kafka.KafkaStorageError, "data directory %s is offline: %w", s.Path, s.Failed)
		}
	}
	for _, t := range b.opts.Replicas.Topics() {
		for p := range t.Partitions() {
			tp := p.ID().TopicPartition
			if want != nil && !want(tp) {
				continue
			}
			d := &dirs[b.opts.Replicas.DirectoryOf(p.ID())]
			if d.Err != nil {
				continue
			}
			if size, err := p.Size(); err == nil {
				d.Logs = append(d.Logs, LogInfo{TopicPartition: tp, Size: size})
			}
		}
	}
	for i := range dirs {
		slices.SortFunc(dirs[i].Logs, func(a, b LogInfo) int {
			return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
		})
	}
	return dirs
}

// bytesOrUnknown is n, or -1 if the file system did not tell.
func bytesOrUnknown(n, total uint64) int64 {
	if total == 0 {
		return -1
	}
	return int64(n)
}
