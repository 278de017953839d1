package storage

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// Log is one partition's log on one node. Batches arrive validated and stamped. Append, TruncateTo and the methods of Segmented
// that change the log want one caller at a time (the partition's lock); everything else may run at any time (STO-6).
type Log interface {
	// Append takes one or more batches whose offsets continue the log (the first base offset >= Bounds().End). It returns once they are
	// readable here; durable later (Sync, Config.OnDurable). b is borrowed until Append returns. It does no I/O that waits for the disk,
	// except that it blocks while more bytes wait for the disk than the engine's budget allows.
	Append(b record.Batches) (Span, error)
	// Sync returns once everything below upto is durable here (what durable means: Config.Durability).
	Sync(ctx context.Context, upto kafka.Offset) error
	// Read returns whole batches from the one containing or following from (STO-2). kafka.OffsetOutOfRange below the start or above
	// the end; an empty Extent (nil) at the end or where lim leaves nothing.
	Read(from kafka.Offset, lim ReadLimit) (Extent, error)
	Bounds() Bounds
	TruncateTo(end kafka.Offset) error                    // drop a suffix, on a batch boundary at or below end; see STO-4
	TrimTo(start kafka.Offset) error                      // drop a prefix: the log start rises at once and durably, space is freed by whole segments
	OffsetForTime(ts kafka.Timestamp) (OffsetTime, error) // first record with timestamp >= ts; Offset NoOffset if none. Batch granularity: the batch that may hold it.
	// MaxTimestamp is the largest timestamp in the log and the batch that has it (ListOffsets -3). NoOffset when empty.
	MaxTimestamp() (OffsetTime, error)
	Sidecar() Sidecar
	// Configure changes what may change while the log is open.
	Configure(Config)
	// Size is the bytes of batches from the log start's segment to the end.
	Size() int64
	Close() error
}

// Span is what an Append took: [First, Next).
type Span struct {
	First, Next kafka.Offset
	Bytes       int
}

// Bounds are the ends of a log. Start <= Durable <= End.
type Bounds struct {
	Start   kafka.Offset
	End     kafka.Offset // the next offset to be written
	Durable kafka.Offset // everything below is durable here
}

// ReadLimit bounds a Read.
type ReadLimit struct {
	MaxBytes int          // at most this many bytes, but always one whole batch
	Below    kafka.Offset // only batches whose base offset is below (the high watermark, the last stable offset); NoOffset: the log end
}

// Extent is whole batches read from a log. It stays readable until Release (STO-5).
type Extent interface {
	io.WriterTo
	Len() int
	// Bytes returns the batches in memory, valid until Release: for who must look inside.
	Bytes() (record.Batches, error)
	Release()
}

// OffsetTime is a batch found by time: its base offset, and its max timestamp.
type OffsetTime struct {
	Offset    kafka.Offset
	Timestamp kafka.Timestamp
}

// Sidecar holds small named blobs kept with the log: leader epochs, producer snapshots, checkpoints. Put replaces atomically and durably.
// Blobs are checksummed: Get of a damaged one answers ErrDamaged, of an absent one fs.ErrNotExist. Names are [a-z0-9.-]+.
type Sidecar interface {
	Get(name string) ([]byte, error)
	Put(name string, blob []byte) error
	Delete(name string) error
	List() ([]string, error)
}

// Segmented is what an engine offers whose log is cut into segments: retention and compaction work on it.
type Segmented interface {
	// Segments lists them, oldest first; the last one is active.
	Segments() []SegmentInfo
	// Roll closes the active segment if it is not empty.
	Roll() error
	// ReplaceSegments puts new content in place of closed, contiguous segments [from.Base, to.Next): batches keep order and offsets
	// (CMP-1). write is called with a sink for whole batches. Old or new, never a mix, after a crash (CMP-5).
	ReplaceSegments(from, to kafka.Offset, write func(sink func(record.Batches) error) error) error
	// ReadSegment reads the batches of a closed segment in chunks of whole batches, for compaction.
	ReadSegment(base kafka.Offset, each func(record.Batches) error) error
}

// Inspected is what an engine offers whose log is in files, which may rot.
type Inspected interface {
	// Inspect reads from the files, past what memory has of them, the batches from the one that contains or follows from: some most bytes of
	// one segment, one batch at least. What is not in files yet is written to them first. each gets every batch that is whole and has the
	// right checksum, in order, borrowed, and may end the inspection by an error, which is returned. Damage is no error: it stands in the
	// answer. A batch may be seen twice when the log changes meanwhile.
	Inspect(from kafka.Offset, most int, each func(h *record.Header, batch []byte) error) (Inspection, error)
	// CheckIndex compares what a closed segment's index files say with its batches, and writes them anew if that is not true. It reports
	// whether they were good.
	CheckIndex(base kafka.Offset) (good bool, err error)
}

// Inspection is what an Inspect found.
type Inspection struct {
	Next  kafka.Offset // go on here; the log end when all was looked at
	Base  kafka.Offset // of the segment that was looked at
	Over  bool         // its end was reached
	Bytes int64        // that were read
	Rot   []Rot        // in the order of offsets; one inspection ends behind the first
}

// Rot is a stretch of a log in which there is no valid batch.
type Rot struct {
	File            string
	Position, Bytes int64
	From, To        kafka.Offset // the records that are gone from here: [From, To)
	// Sum is the checksum in the header of the one damaged batch, if its header can be believed.
	Sum   uint32
	Known bool
	Err   error
}

// SegmentInfo describes a segment.
type SegmentInfo struct {
	Base, Next   kafka.Offset // Next: the first offset after it
	Bytes        int64
	MaxTimestamp kafka.Timestamp // of its records; NoTimestamp if empty
	Created      time.Time       // when its first record was appended here; zero if unknown
	Modified     time.Time       // when it was last appended to
	Active       bool
}

// Durability says what Sync and OnDurable wait for.
type Durability int

const (
	Fsync  Durability = iota // on disk: fsynced, one fsync for all that waits (group commit). The default.
	Cached                   // written to the operating system: survives the process, not the machine (Kafka's default)
)

// Config is per log. Zero values mean Kafka's defaults.
type Config struct {
	Durability    Durability
	FlushMessages int64         // Cached only: fsync after this many records (flush.messages); 0: never
	FlushInterval time.Duration // Cached only: fsync at least this often (flush.ms); 0: never
	SegmentBytes  int64         // segment.bytes
	SegmentAge    time.Duration // segment.ms; the caller rolls, see replica
	IndexInterval int           // index.interval.bytes
	Preallocate   bool
	// OnDurable is told the offset below which everything is durable, each time it rises. Called from an engine's goroutine without any
	// lock of the log held; calls for one log do not overlap. It must be quick and must not call the log's writing methods.
	OnDurable func(kafka.Offset)
	// OnFailed is told once when the log fails (STO-7).
	OnFailed func(error)
	// OnRot is told of the offset at which a reader met damage in a file, each time. Called without any lock of the log held; it must be quick.
	OnRot func(at kafka.Offset, err error)
}

// ID names a log: topic and partition give the directory, Topic's id tells incarnations of one name apart.
type ID struct {
	kafka.TopicPartition
	TopicID kafka.UUID
}

// Engine holds the logs of one or more directories.
type Engine interface {
	// Open opens a log, or makes it. Cheap: nothing is read from disk or created on it before the log is used.
	Open(id ID, cfg Config) (Log, error)
	// Remove deletes a log (open or not) for good; the name is free for a new id at once, the space some time later.
	Remove(id ID) error
	// List names the logs that exist on disk.
	List() ([]ID, error)
	// Dirs tells the state of each directory.
	Dirs() []DirInfo
	// Close writes everything out and leaves the clean-stop marker.
	Close() error
}

// DirInfo describes a data directory.
type DirInfo struct {
	Path        string
	Total, Free uint64 // bytes of its file system; 0 if unknown
	Failed      error  // why it is offline
	Full        bool   // too little space: appends are refused with ErrFull
}

// Errors of engines; errors.Is.
var (
	ErrFull    = errors.New("the data directory has no room left") // retriable; reads and deletes go on
	ErrOffline = errors.New("the log is offline after an I/O error")
	ErrDamaged = errors.New("damaged")
	ErrClosed  = errors.New("the log is closed")
)
