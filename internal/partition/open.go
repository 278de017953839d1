package partition

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// use returns the log, opening it at the first use.
func (p *Partition) use() (*openLog, error) {
	l := p.log.Load()
	if l == nil {
		var err error
		if l, err = p.open(); err != nil {
			return nil, err
		}
	}
	if err := l.failed.Load(); err != nil {
		return nil, *err
	}
	return l, nil
}

func (p *Partition) open() (*openLog, error) {
	p.opening.Lock()
	defer p.opening.Unlock()
	return p.openLocked()
}

// openLocked wants opening to be held.
func (p *Partition) openLocked() (*openLog, error) {
	if l := p.log.Load(); l != nil {
		return l, nil
	}
	if gone := p.role.Load().Gone; gone != nil {
		return nil, gone
	}
	l := &openLog{}
	log, err := p.host.Engine.Open(p.id, p.logConfig(l, p.settings.Load()))
	if err != nil {
		return nil, offline(p.id, err)
	}
	l.Log = log
	// A log that cannot be read has no bounds; Sync of nothing says why.
	if err := log.Sync(context.Background(), 0); err != nil {
		return nil, errors.Join(offline(p.id, err), log.Close())
	}
	b := log.Bounds()
	start, err := p.recallStart(l, b)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	p.startsLate.Store(start > b.Start)
	p.mu.Lock()
	p.end, p.opened = max(b.End, start), true
	p.beginLocked(start)
	p.mu.Unlock()
	p.start.Store(int64(start))
	p.log.Store(l)
	p.durableUpto(b.Durable)
	if b.End == 0 {
		p.restabilize(func(s *stability) { s.known = true })
	}
	return l, nil
}

// beginLocked raises the high watermark to one that is known of a log that was just opened or read, and has a leader's epoch begin at its end. mu is held.
func (p *Partition) beginLocked(hw kafka.Offset) {
	w := &p.waiting
	w.Lock()
	defer w.Unlock()
	if hw > p.HighWatermark() {
		p.watermark.Store(int64(hw))
	}
	if w.isr != nil {
		w.isr.Begin(p.end, p.HighWatermark())
	}
}

func (p *Partition) logConfig(l *openLog, s *Settings) storage.Config {
	c := s.Log
	c.OnDurable = p.durableUpto
	c.OnFailed = func(err error) {
		err = offline(p.id, err)
		l.failed.Store(&err)
		p.failWaiters(err)
		if p.host.OnFailed != nil {
			p.host.OnFailed(p)
		}
	}
	if p.host.OnRot != nil {
		c.OnRot = func(at kafka.Offset, err error) { p.host.OnRot(p, at, err) }
	}
	return c
}

// offline is what clients are told of a log that cannot be used: an error they may retry, for the partition may come back.
func offline(id storage.ID, err error) error {
	if errors.Is(err, storage.ErrFull) {
		return kafka.Errorf(kafka.KafkaStorageError, "%s: the disk is full: free space or lower the retention, then retry: %w", id, err)
	}
	return kafka.Errorf(kafka.KafkaStorageError, "%s: the log cannot be used: %w", id, err)
}

// load returns the log once producers and epochs are known too (PAR-7): from the sidecar, and from the log behind what the sidecar
// knows. Nothing is appended before, so both stay what the log says from here on.
func (p *Partition) load() (*openLog, error) {
	l, err := p.use()
	if err != nil || p.loaded.Load() {
		return l, err
	}
	p.opening.Lock()
	defer p.opening.Unlock()
	if p.loaded.Load() {
		return l, nil
	}
	return l, p.loadLocked(l)
}

// loadLocked makes producers and epochs what the log says. opening is held, and nothing is appended meanwhile.
func (p *Partition) loadLocked(l *openLog) error {
	m, err := p.recall(l)
	if err != nil {
		return offline(p.id, err)
	}
	p.mu.Lock()
	if p.waitsForOthers() {
		p.beginLocked(m.savedUpto) // what was saved was committed
	}
	firm := max(p.firm(), m.savedUpto)
	p.producers, p.delays = m.producers, m.delays
	p.delays.committed(firm)
	due := p.delays.top()
	p.producers.aborted.trim(p.LogStart())
	p.producers.committed(firm)
	p.publishAbortedLocked()
	p.epochs.Store(&m.epochs)
	p.markEpochLocked()
	p.restabilize(func(s *stability) {
		s.known, s.open, s.ended, s.held = true, m.producers.firstOpen(), nil, 0
		for _, t := range m.producers.ended {
			s.end(t.first, t.last)
		}
	})
	p.unsaved.Store(m.read)
	p.savedUpto, p.savedEpochs = m.savedUpto, m.savedEpochs
	p.savedDelays = m.savedDelays
	p.loaded.Store(true)
	p.mu.Unlock()
	p.tellDue(due)
	return nil
}

// memory is what a partition knows beside its log.
type memory struct {
	producers *producers
	epochs    epochs
	delays    *delays

	delaysUpto  kafka.Offset // of the snapshot of delays, or what stands for it: batches from there on are folded
	savedDelays savedDelays
	savedUpto   kafka.Offset      // of the snapshot it began with, NoOffset: none
	savedEpochs kafka.LeaderEpoch // the latest one in the sidecar
	read        int64             // bytes of log read behind the snapshot
}

// maxEnded is how many ended transactions, and released records, are collected while a log is read before those that are committed are forgotten. Where a
// replica does not know how far its log is committed, at most mostEnded are left: the others, which lie far back, count as committed.
const (
	maxEnded  = 1000
	mostEnded = 1 << 16
)

// scanBytes is how much of the log is read at a time.
const scanBytes = 1 << 20

// recall folds the log into what is known of producers and epochs, beginning with the snapshot if there is one that fits.
func (p *Partition) recall(l *openLog) (m memory, err error) {
	b := p.bounds(l)
	m = memory{producers: newProducers(), delays: newDelays(), savedUpto: kafka.NoOffset, savedEpochs: kafka.NoEpoch}
	if b.End == 0 {
		return m, nil
	}
	m.delays.floor = b.Start
	if err := p.recallSaved(l, b, &m); err != nil {
		return m, err
	}
	from := max(b.Start, min(m.savedUpto, m.delaysUpto))
	now, firm := kafka.Timestamp(p.host.Now().UnixMilli()), max(p.firm(), m.savedUpto)
	ended, undone := maxEnded, maxEnded
	err = eachBatch(l, from, b.End, func(h *record.Header, batch []byte) error {
		if h.BaseOffset >= m.delaysUpto {
			if err := m.delays.fold(h, batch); err != nil {
				return err
			}
			if len(m.delays.undone) > undone {
				m.delays.committed(firm)
				m.delays.forgetUndone(mostEnded)
				undone = max(maxEnded, 2*len(m.delays.undone))
			}
		}
		if h.BaseOffset < m.savedUpto {
			return nil
		}
		m.epochs = m.epochs.assign(h.LeaderEpoch, h.BaseOffset)
		m.read += int64(h.Size())
		if len(m.producers.ended) > ended {
			m.producers.committed(firm)
			m.producers.forgetEnded(mostEnded)
			ended = max(maxEnded, 2*len(m.producers.ended))
		}
		return m.producers.fold(h, batch, now)
	})
	if err != nil {
		return m, fmt.Errorf("read what producers wrote from offset %d: %w", from, err)
	}
	return m, nil
}

// recallSaved reads both blobs of the sidecar into m, or none: one without the other says too little.
func (p *Partition) recallSaved(l *openLog, b storage.Bounds, m *memory) error {
	var leaders epochs
	var known *producers
	var upto kafka.Offset
	blob, err := l.Sidecar().Get(epochsBlob)
	if err == nil {
		leaders, err = decodeEpochs(blob)
	}
	if err == nil {
		blob, err = l.Sidecar().Get(producersBlob)
	}
	if err == nil {
		known, upto, err = decodeProducers(blob)
	}
	if err == nil {
		err = p.recallDelays(l, b, upto, m)
	}
	if err == nil && upto > b.End {
		// The log's end was lost with the machine's memory (write.caching).
		err = fmt.Errorf("the snapshot is of offset %d, the log ends at %d: %w", upto, b.End, errSnapshot)
	}
	switch {
	case err == nil:
		m.producers, m.savedUpto = known, upto
		// Later epochs are found in the log again; those in the list may be of a log that was cut since.
		m.epochs = leaders.truncate(upto)
		if len(m.epochs) == len(leaders) {
			m.savedEpochs = leaders.latest()
		}
		m.epochs = m.epochs.trim(b.Start)
	case errors.Is(err, fs.ErrNotExist):
		if _, err := l.Sidecar().Get(delaysBlob); !errors.Is(err, fs.ErrNotExist) {
			m.savedDelays = delaysSaved
		}
	case errors.Is(err, storage.ErrDamaged), errors.Is(err, errSnapshot), errors.Is(err, errEpochs):
		m.forgetDelays(b)
		p.host.Logger.Warn("what was saved of producers cannot be used, reading the whole log instead", "log", p.id.String(), "err", err)
	default:
		return err
	}
	return nil
}

// errEnough ends eachBatch early.
var errEnough = errors.New("enough was read")

// eachBatch goes through the batches in [from, end), the one that contains from included, until each returns an error, which it returns.
func eachBatch(l storage.Log, from, end kafka.Offset, each func(h *record.Header, batch []byte) error) error {
	for from < end {
		ext, err := l.Read(from, storage.ReadLimit{MaxBytes: scanBytes, Below: end})
		if err != nil {
			return err
		}
		if ext == nil {
			return nil
		}
		b, err := ext.Bytes()
		if err != nil {
			ext.Release()
			return err
		}
		before := from
		for h, batch := range b.All() {
			if h.NextOffset() <= from {
				continue
			}
			if err := each(&h, batch); err != nil {
				ext.Release()
				return err
			}
			from = h.NextOffset()
		}
		ext.Release()
		if from == before {
			return fmt.Errorf("no batch at offset %d: %w", from, storage.ErrDamaged)
		}
	}
	return nil
}
