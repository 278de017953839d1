package partition

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// The sidecar blob "log-start" says where an empty log goes on, beyond what its engine takes for its end: version 1 byte (1) | offset 8, big endian. A
// replica whose leader has deleted everything may be in sync, and lead, with such a log.
const (
	startBlob    = "log-start"
	startVersion = 1
	startBytes   = 1 + 8
)

var errStart = errors.New("this is no log start that this version can read")

func encodeStart(offset kafka.Offset) []byte {
	return binary.BigEndian.AppendUint64([]byte{startVersion}, uint64(offset))
}

func decodeStart(b []byte) (kafka.Offset, error) {
	if len(b) != startBytes || b[0] != startVersion {
		return kafka.NoOffset, errStart
	}
	offset := kafka.Offset(binary.BigEndian.Uint64(b[1:]))
	if offset < 0 {
		return kafka.NoOffset, errStart
	}
	return offset, nil
}

// recallStart is the log start of a log that was just opened.
func (p *Partition) recallStart(l *openLog, b storage.Bounds) (kafka.Offset, error) {
	if b.Start < b.End && !p.waitsForOthers() {
		return b.Start, nil
	}
	blob, err := l.Sidecar().Get(startBlob)
	if errors.Is(err, fs.ErrNotExist) {
		return b.Start, nil
	}
	start := kafka.NoOffset
	if err == nil {
		start, err = decodeStart(blob)
	}
	if err != nil {
		return 0, offline(p.id, fmt.Errorf("nobody knows where the log starts: delete its directory if another replica has it: %w", err))
	}
	return max(b.Start, start), nil
}

// bounds are the ends of the log. They are the engine's, but where an empty log goes on beyond them.
func (p *Partition) bounds(l *openLog) storage.Bounds {
	b := l.Bounds()
	if p.startsLate.Load() {
		b.Start = p.LogStart()
		b.End = max(b.End, b.Start)
	}
	return b
}

// TruncateTo cuts a follower's log where it parts from that of the leader of an epoch (PAR-2): the leader has said that its records up to d.Epoch end at
// d.End. The cut is there, or where this log's own records up to that epoch end, if that is earlier. What is known of producers, transactions,
// epochs and delays is that of the log which is left (PAR-7). It returns where to go on, and waits for the disk.
//
// What is committed is in the log of every leader, unless one was elected uncleanly; then a follower, too, gives it up, and an error in the log tells
// of it. So does its log start, if the cut is below it: what such a leader has written there since was never deleted.
//
// Errors: as of AppendAsFollower. After KafkaStorageError the cut may have been made all the same.
func (p *Partition) TruncateTo(epoch kafka.LeaderEpoch, d EpochEnd) (FollowPoint, error) {
	var point FollowPoint
	err := p.cut(epoch, func(end kafka.Offset) (cutTo, goOn kafka.Offset) {
		cutTo = end
		if d.End >= 0 {
			cutTo = min(end, d.End)
		}
		if own := p.epochs.Load().end(d.Epoch, end); own != unknownEnd {
			cutTo = min(cutTo, own.End)
		}
		if cutTo < p.LogStart() {
			return 0, cutTo
		}
		return cutTo, kafka.NoOffset
	})
	if err == nil {
		point, err = p.FollowPoint()
	}
	return point, err
}

// StartAt drops all of a follower's log and has it go on at offset, where the log of the leader of an epoch starts: what lies between is gone there
// too. The log start falls where that is below it, as it is if an unclean election took what was deleted here. It waits for the disk.
//
// Errors: as of TruncateTo.
func (p *Partition) StartAt(epoch kafka.LeaderEpoch, offset kafka.Offset) error {
	if offset < 0 {
		return kafka.Errorf(kafka.OffsetOutOfRange, "%s cannot start at offset %d", p.id, offset)
	}
	return p.cut(epoch, func(kafka.Offset) (cutTo, goOn kafka.Offset) { return 0, offset })
}

// cut cuts the log of a follower. where is asked under mu where that is and, unless it says NoOffset, where the empty log goes on.
func (p *Partition) cut(epoch kafka.LeaderEpoch, where func(end kafka.Offset) (cutTo, goOn kafka.Offset)) error {
	if _, err := p.follower(epoch); err != nil {
		return err
	}
	l, err := p.load()
	if err != nil {
		return err
	}
	// An engine cuts what is durable. To wait for that here holds up nobody, and nothing is appended meanwhile but by who calls this.
	soon, cancel := context.WithTimeout(context.Background(), syncPatience)
	defer cancel()
	if err := l.Sync(soon, l.Bounds().End); err != nil {
		return p.readFailed(err)
	}
	p.cuts.Add(1) // who compacts gives way
	p.compacting.Lock()
	p.cuts.Add(-1)
	defer p.compacting.Unlock()
	p.maintenance.Lock()
	defer p.maintenance.Unlock()
	p.opening.Lock()
	defer p.opening.Unlock()
	p.delivering.Lock()
	defer p.delivering.Unlock()
	cut, err := p.cutLocked(l, epoch, where)
	if err != nil || !cut {
		return err
	}
	p.delivery = delivery{}
	return p.loadLocked(p.log.Load())
}

// cutLocked cuts the log if there is something to be cut. Until it is loaded again nothing is appended. All locks but mu are held; mu is, too, while the
// engine cuts: the role must not change in between, or a leader would lose what it counts as its own.
func (p *Partition) cutLocked(l *openLog, epoch kafka.LeaderEpoch, where func(end kafka.Offset) (cutTo, goOn kafka.Offset)) (cut bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.follower(epoch); err != nil {
		return false, err
	}
	to, goOn := where(p.end)
	all := goOn != kafka.NoOffset
	if to = max(to, p.LogStart()); all {
		to = l.Bounds().Start
	} else if to >= p.end {
		return false, nil
	}
	if hw := p.HighWatermark(); to < hw && goOn < hw {
		p.host.Logger.Error("committed records are cut off, because the log of the leader does not have them: it was elected uncleanly", "log", p.id.String(), "from", int64(to), "high_watermark", int64(hw), "leader_epoch", int32(epoch))
	}
	p.loaded.Store(false)
	if err := p.forgetSavedLocked(l, to, all); err != nil {
		return false, err
	}
	isEmpty := l.Bounds().Start == l.Bounds().End
	if err := l.TruncateTo(to); err != nil {
		return false, p.readFailed(err)
	}
	if all && to > 0 && (isEmpty || goOn < to) {
		if l, err = p.renewLocked(l); err != nil {
			return false, err
		}
	}
	b := l.Bounds()
	if all {
		// After the cut, for a log that is not empty does not look for it.
		if err := l.Sidecar().Put(startBlob, encodeStart(goOn)); err != nil {
			return false, fmt.Errorf("say where %s goes on: %w", p.id, p.readFailed(err))
		}
		p.start.Store(int64(goOn))
	}
	p.end = max(b.End, p.LogStart())
	p.startsLate.Store(p.LogStart() > b.Start)
	p.rollAt = time.Time{}
	p.fallLocked(b.Durable, all)
	return true, nil
}

// renewLocked replaces the empty log of a follower by one that was never used. An engine's log start never falls (STO-5), so that the old one could not take
// a batch that begins below its start, neither one that reaches above it nor one of a leader whose log starts earlier. A crash before its start is
// written leaves a log from offset 0, which is what every new replica begins with: this one has nothing that is committed, so it counts for nobody.
// opening and mu are held.
func (p *Partition) renewLocked(l *openLog) (*openLog, error) {
	if err := p.host.Engine.Remove(p.id); err != nil {
		return nil, p.readFailed(err)
	}
	next := &openLog{}
	log, err := p.host.Engine.Open(p.id, p.logConfig(next, p.settings.Load()))
	if err == nil {
		next.Log = log
		err = log.Sync(context.Background(), 0)
	}
	if err != nil {
		err = offline(p.id, fmt.Errorf("begin the log anew: %w", err))
		l.failed.Store(&err)
		if p.host.OnFailed != nil {
			p.host.OnFailed(p)
		}
		return nil, err
	}
	p.log.Store(next)
	return next, nil
}

// forgetSavedLocked deletes what the sidecar says of a log that is about to be cut, durably and before the cut: after a crash it must not be taken for
// what the log says that grows from there. What was saved below the cut stays true. compacting, maintenance and mu are held.
func (p *Partition) forgetSavedLocked(l *openLog, to kafka.Offset, all bool) error {
	if p.kept != nil && (all || p.kept.end > to) {
		p.keep(nil)
	}
	if err := p.recallCompacted(l); err != nil {
		return err
	}
	if p.cleaning.firstDirty > to {
		p.cleaning.firstDirty = to
		if err := l.Sidecar().Put(compactedBlob, encodeCompacted(to)); err != nil {
			return fmt.Errorf("say how far %s is compacted: %w", p.id, p.readFailed(err))
		}
	}
	if p.savedUpto <= to && !all {
		return nil
	}
	// Without this one the others are not used.
	if err := l.Sidecar().Delete(producersBlob); err != nil {
		return fmt.Errorf("forget the producers of %s: %w", p.id, p.readFailed(err))
	}
	return nil
}

// fallLocked lets everything that says how far the log reaches fall to its new end. restarted: that is where the leader's log starts, below which
// everything was committed. mu is held.
func (p *Partition) fallLocked(durable kafka.Offset, restarted bool) {
	w := &p.waiting
	w.Lock()
	w.durable = min(w.durable, durable)
	if restarted || p.end < p.HighWatermark() {
		p.watermark.Store(int64(p.end))
	}
	if restarted || p.end < p.LastStable() {
		p.stable.Store(int64(p.end))
	}
	w.stability = stability{open: noneOpen}
	w.acks.takeAll() // the bytes of batches, some of which are gone
	fetches := w.fetches.takeAll()
	w.Unlock()
	for _, f := range fetches {
		f.wake()
	}
}
