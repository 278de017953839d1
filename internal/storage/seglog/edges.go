package seglog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// edges is what a log's segments do not tell of where it begins and ends. It is kept in a sidecar of its own.
type edges struct {
	start kafka.Offset // the log start, if it is above the first segment's base
	floor uint64       // journal frames of lower sequences say nothing about the log: it was truncated when all of them were in segments
	cut   kafka.Offset // a truncation to here was begun and may be half done; NoOffset: none
}

// edgesSide holds start 8, floor 8, cut 8.
const edgesSide = "edges"

func (l *Log) edgesPath() string { return filepath.Join(l.path, edgesSide+sideSuffix) }

func (l *Log) readEdges() (edges, error) {
	b, err := getSide(l.e.fs, l.edgesPath())
	if errors.Is(err, fs.ErrNotExist) {
		return edges{cut: kafka.NoOffset}, nil
	}
	if err != nil {
		return edges{}, err
	}
	if len(b) != 24 {
		return edges{}, damagedAt(l.edgesPath(), 0, "%d bytes where 24 belong", len(b))
	}
	return edges{
		start: kafka.Offset(binary.LittleEndian.Uint64(b)),
		floor: binary.LittleEndian.Uint64(b[8:]),
		cut:   kafka.Offset(binary.LittleEndian.Uint64(b[16:])),
	}, nil
}

func (l *Log) writeEdges(e edges) error {
	if err := l.makeDir(); err != nil {
		return err
	}
	b := binary.LittleEndian.AppendUint64(nil, uint64(e.start))
	b = binary.LittleEndian.AppendUint64(b, e.floor)
	b = binary.LittleEndian.AppendUint64(b, uint64(e.cut))
	return l.side.put(l.edgesPath(), b)
}

// changeEdges makes a change of the edges durable.
func (l *Log) changeEdges(change func(*edges)) error {
	l.mu.Lock()
	e := l.edges
	l.mu.Unlock()
	change(&e)
	if err := l.writeEdges(e); err != nil {
		return err
	}
	l.mu.Lock()
	l.edges = e
	l.mu.Unlock()
	return nil
}

// finishCut brings a truncation to end that was begun: the segments behind cut go, the one that holds it is cut on a batch boundary. It may
// be done any number of times. bases are the segments there are; those that stay are returned.
func (l *Log) finishCut(bases []kafka.Offset, cut kafka.Offset) ([]kafka.Offset, error) {
	for len(bases) > 1 && bases[len(bases)-1] > cut {
		last := bases[len(bases)-1]
		for _, suffix := range []string{indexSuffix, timeSuffix, logSuffix} {
			if err := l.e.fs.Remove(filepath.Join(l.path, fileName(last, suffix))); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		bases = bases[:len(bases)-1]
	}
	if len(bases) == 0 {
		return bases, nil
	}
	s := newSegment(l.path, bases[len(bases)-1])
	for _, suffix := range []string{indexSuffix, timeSuffix} {
		if err := l.e.fs.Remove(filepath.Join(l.path, fileName(s.base, suffix))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	pos, _, err := scanFile(l.e.fs, s.handle.path, 0, -1, s.base, func(h record.Header, _ int64, _ []byte) bool { return h.LastOffset() < cut })
	if err != nil {
		return nil, fmt.Errorf("truncate %s to %d: %w", l.id, cut, err)
	}
	if err := l.cutFile(s, pos); err != nil {
		return nil, err
	}
	l.e.files.wait(&s.handle)
	return bases, l.e.fs.SyncDir(l.path)
}
