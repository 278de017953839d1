package partition

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// Isolation of a read, with Kafka's codes.
type Isolation int8

const (
	ReadUncommitted Isolation = 0 // up to the high watermark
	ReadCommitted   Isolation = 1 // up to the last stable offset

	throughEnd Isolation = 2 // of followers: up to the log end
)

// ReadRequest is what a consumer, or a follower, asks of one partition.
type ReadRequest struct {
	From         kafka.Offset
	MaxBytes     int
	AtLeastOne   bool              // give one batch even if it is larger than MaxBytes
	CurrentEpoch kafka.LeaderEpoch // as the client knows it; NoEpoch: not checked
	FetchedEpoch kafka.LeaderEpoch // of the last record the client has; NoEpoch: not checked
	Isolation    Isolation
	// Replica is the follower that asks, kafka.NoBroker for everybody else. It is given all there is up to the log end, and says by From that it has
	// everything below, durable: the leader counts on it.
	Replica      kafka.BrokerID
	ReplicaEpoch int64 // its broker epoch; -1: not known
	// LogStart is where the follower's log starts, so that the leader knows what it has deleted.
	LogStart kafka.Offset
	// FromFollower lets a consumer be served by a replica that does not lead (KIP-392), up to the high watermark known there.
	FromFollower bool
}

// Read is what a read found.
type Read struct {
	Records       storage.Extent // nil: none; to be released
	HighWatermark kafka.Offset
	LastStable    kafka.Offset // NoOffset: not known, and nobody has asked for committed records yet
	LogStart      kafka.Offset
	Diverging     *EpochEnd    // the client's log went another way: truncate to here; no records then
	Aborted       []AbortedTxn // ReadCommitted: the transactions to skip in Records, in the order of their markers
	More          bool         // there are records to read, and the limit of bytes let none of them through

	// As they were before anything else was looked at; FetchWaiter.Await compares.
	role      *Role
	isolation Isolation
	arrived   int64
}

// LogStart is the offset of the first record that may still be read.
func (p *Partition) LogStart() kafka.Offset { return kafka.Offset(p.start.Load()) }

// arrived is how many bytes became readable in an isolation.
func (p *Partition) arrived(i Isolation) int64 {
	switch i {
	case throughEnd:
		return p.appended.Load()
	case ReadCommitted:
		return p.settled.Load()
	}
	return p.committed.Load()
}

// reader returns the role if it lets a request be served, and what it may read (KIP-392).
func (p *Partition) reader(r *ReadRequest) (role *Role, upto Isolation, err error) {
	upto = ReadUncommitted
	switch {
	case r.Replica >= 0:
		role, err = p.followed(r)
		return role, throughEnd, err
	case r.Isolation == ReadCommitted:
		upto = ReadCommitted
	}
	if r.FromFollower {
		role, err = p.served(r.CurrentEpoch)
	} else {
		role, err = p.leader(r.CurrentEpoch)
	}
	return role, upto, err
}

// Read reads from the log, at most up to what the isolation lets be seen. It never waits for new data. At the high watermark, and
// between it and the log end, there is nothing yet; beyond the log end and below the log start is OffsetOutOfRange. The offsets of the
// result are set also when Read fails after it found the partition led here. A follower is given what is not committed too, and what it asks for tells
// how far it is.
//
// Errors: NotLeaderOrFollower, also for a follower that is not one as far as is known here, FencedLeaderEpoch, UnknownLeaderEpoch, OffsetOutOfRange, KafkaStorageError.
func (p *Partition) Read(r ReadRequest) (Read, error) {
	read := Read{HighWatermark: kafka.NoOffset, LastStable: kafka.NoOffset, LogStart: kafka.NoOffset}
	role, upto, err := p.reader(&r)
	if err != nil {
		return read, err
	}
	l, err := p.use()
	if err == nil && upto != ReadUncommitted {
		l, err = p.load() // what is stable depends on the producers, and nobody is to follow a log that is being cut
	}
	if err != nil {
		return read, err
	}
	read.role, read.isolation, read.arrived = role, upto, p.arrived(upto)
	read.LastStable = p.LastStable() // before the high watermark: what is told is LSO <= HW
	read.HighWatermark = p.HighWatermark()
	read.LogStart = p.LogStart()
	if r.FetchedEpoch != kafka.NoEpoch {
		if read.Diverging, err = p.divergence(r, role); err != nil || read.Diverging != nil {
			return read, err
		}
	}
	if r.From < read.LogStart || upto == throughEnd && mayLackMore(role, &r, read.LogStart) {
		return read, p.outOfRange(r.From, l)
	}
	limit := read.HighWatermark
	switch upto {
	case ReadCommitted:
		limit = read.LastStable
	case throughEnd:
		limit = p.bounds(l).End
		if r.From <= limit {
			if err := p.followerHas(role, &r, limit); err != nil {
				return read, err
			}
			read.HighWatermark = p.HighWatermark() // it may have moved by that
		}
	}
	if r.From >= limit {
		if r.From > read.HighWatermark && r.From > p.bounds(l).End {
			return read, p.outOfRange(r.From, l)
		}
		return read, nil
	}
	if r.MaxBytes <= 0 && !r.AtLeastOne {
		read.More = true
		return read, nil
	}
	ext, err := l.Read(r.From, storage.ReadLimit{MaxBytes: max(r.MaxBytes, 0), Below: limit})
	switch {
	case errors.Is(err, kafka.OffsetOutOfRange):
		return read, p.outOfRange(r.From, l)
	case err != nil:
		return read, p.readFailed(err)
	case ext == nil:
		return read, nil
	case ext.Len() > r.MaxBytes && !r.AtLeastOne:
		ext.Release()
		read.More = true
		return read, nil
	}
	if upto == ReadCommitted {
		if read.Aborted, err = p.abortedFor(l, ext, r.From, limit); err != nil {
			ext.Release()
			return read, p.readFailed(err)
		}
	}
	read.Records = ext
	return read, nil
}

// abortedFor lists the aborted transactions in an extent that was read from an offset, up to a limit at most. Where there are none, the
// usual case, it does not look into the extent.
func (p *Partition) abortedFor(l *openLog, ext storage.Extent, from, limit kafka.Offset) ([]AbortedTxn, error) {
	if a := p.aborted.Load(); a == nil || !a.touches(from, limit) {
		return nil, nil
	}
	b, err := ext.Bytes()
	if err != nil {
		return nil, err
	}
	to := from
	for h := range b.All() {
		to = max(to, h.NextOffset())
	}
	found, err := p.abortedIn(l, from, to)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	names := make([]AbortedTxn, len(found))
	for i, t := range found {
		names[i] = AbortedTxn{Producer: t.producer, First: t.first}
	}
	return names, nil
}

// readFailed says why a log could not be read. If the partition went away meanwhile that is the reason, not its closed log.
func (p *Partition) readFailed(err error) error {
	if gone := p.role.Load().Gone; gone != nil {
		return gone
	}
	return offline(p.id, err)
}

func (p *Partition) outOfRange(from kafka.Offset, l *openLog) error {
	b := p.bounds(l)
	return kafka.Errorf(kafka.OffsetOutOfRange, "offset %d of %s is not in its log, which has %d to %d", from, p.id, b.Start, b.End)
}

// mayLackMore reports whether a follower asks for something behind the log start and has nothing that could be compared. Where its own empty log starts
// says what another leader had deleted; this one, if it was elected uncleanly, may have other records there. So it is to begin with the log, unless it is
// in sync or eligible, which says that it lacks nothing.
func mayLackMore(role *Role, r *ReadRequest, start kafka.Offset) bool {
	return r.FetchedEpoch == kafka.NoEpoch && r.From > start && !slices.Contains(role.ISR, r.Replica) && !slices.Contains(role.ELR, r.Replica)
}

// divergence tells a client whose log went another way where to truncate (PAR-2, KIP-595).
func (p *Partition) divergence(r ReadRequest, role *Role) (*EpochEnd, error) {
	end, err := p.epochEnd(role, r.FetchedEpoch)
	if err != nil {
		return nil, err
	}
	if end == unknownEnd {
		return nil, kafka.Errorf(kafka.OffsetOutOfRange, "%s knows nothing of leader epoch %d", p.id, r.FetchedEpoch)
	}
	if end.Epoch < r.FetchedEpoch || end.End < r.From {
		diverging := end // escapes here alone: every fetch of a follower comes this way
		return &diverging, nil
	}
	return nil, nil
}

// EpochEnd answers OffsetForLeaderEpoch: the largest epoch up to the one asked for of which something is known, and the offset after
// its last record. NoEpoch and NoOffset if nothing is known. Errors as of Read.
func (p *Partition) EpochEnd(current, asked kafka.LeaderEpoch) (EpochEnd, error) {
	role, err := p.leader(current)
	if err != nil {
		return unknownEnd, err
	}
	return p.epochEnd(role, asked)
}

func (p *Partition) epochEnd(role *Role, asked kafka.LeaderEpoch) (EpochEnd, error) {
	l, err := p.load()
	if err != nil {
		return unknownEnd, err
	}
	end := p.bounds(l).End
	// The epoch this replica leads in has begun even if nothing was written in it.
	return p.epochs.Load().assign(role.Epoch, end).end(asked, end), nil
}

// Producers lists the producers that are known. A follower tells too what its own log says: who looks for hanging transactions may ask for one broker's
// replicas (KIP-664).
func (p *Partition) Producers() ([]ProducerState, error) {
	if _, err := p.served(kafka.NoEpoch); err != nil {
		return nil, err
	}
	if _, err := p.load(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.producers.list(), nil
}

// Size is the bytes of the log. It opens the log if need be.
func (p *Partition) Size() (int64, error) {
	l, err := p.use()
	if err != nil {
		return 0, fmt.Errorf("size of %s: %w", p.id, err)
	}
	return l.Size(), nil
}
