package logtest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// witness is a log of the crash workload that keeps account of what a crash may and must leave.
type witness struct {
	*subject
	incarnation byte

	mu       sync.Mutex // guards what follows, also against the engine's goroutines; a leaf
	expected storage.ID
	tales    []*tale // all there were since reset; the last one grows
	cutting  bool    // a truncation is under way: what OnDurable says now may be about what was before it
	minStart kafka.Offset
	maxStart kafka.Offset
	blobs    map[string][]byte // confirmed
	putting  map[string][]byte // may have replaced it
}

// tale is what the log may hold: a prefix of pieces that reaches to must at least. A truncation and a replacement begin a new one.
type tale struct {
	live   bool // a crash now may still show it
	pieces []piece
	end    kafka.Offset // largest log end
	must   kafka.Offset // confirmed: everything below is there
	until  kafka.Offset // once a later tale is confirmed beyond, this one is over: an append after the truncation is durable, so that is too (STO-4)
}

const forever = kafka.Offset(math.MaxInt64)

// expectation is what one crash must leave of one log.
type expectation struct {
	id                 storage.ID
	tales              []tale
	minStart, maxStart kafka.Offset
	blobs, putting     map[string][]byte

	candidates []*tale // known before the crash
	musts      []kafka.Offset
	count      int
}

func (w *witness) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.incarnation++
	w.id.TopicID = topicID("c", w.incarnation)
	w.model = model{}
	w.expected = w.id
	w.tales = []*tale{{live: true, until: forever}}
	w.minStart, w.maxStart = 0, 0
	w.blobs, w.putting = map[string][]byte{}, map[string][]byte{}
}

func (w *witness) last() *tale { return w.tales[len(w.tales)-1] }

// before notes what is confirmed.
func (w *witness) before() *expectation {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := &expectation{id: w.expected, minStart: w.minStart, blobs: maps.Clone(w.blobs), count: len(w.tales)}
	for _, t := range w.tales {
		if t.live {
			x.candidates = append(x.candidates, t)
			x.musts = append(x.musts, t.must)
		}
	}
	return x
}

// after adds what was begun.
func (w *witness) after(x *expectation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if x.id != w.expected { // removed meanwhile: what the crash left is about to go, and nothing can be said
		*x = expectation{id: w.expected, tales: []tale{{}}, blobs: map[string][]byte{}}
		return
	}
	x.maxStart, x.putting = w.maxStart, maps.Clone(w.putting)
	for name, blob := range w.blobs { // confirmed meanwhile, so perhaps there
		if old, ok := x.blobs[name]; !ok || !bytes.Equal(old, blob) {
			x.putting[name] = blob
		}
	}
	known := x.musts[len(x.musts)-1]
	for i, t := range x.candidates {
		x.tales = append(x.tales, tale{pieces: t.pieces, end: t.end, must: min(t.must, x.musts[i])})
	}
	for _, t := range w.tales[x.count:] {
		x.tales = append(x.tales, tale{pieces: t.pieces, end: t.end, must: min(t.must, known)})
	}
	x.candidates = nil
}

// onDurable is the OnDurable of the log that the witness is about now. What is still told of one that was removed does not count.
func (w *witness) onDurable() func(kafka.Offset) {
	incarnation := w.incarnation
	return func(upto kafka.Offset) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.cutting && w.incarnation == incarnation {
			w.confirmLocked(upto)
		}
	}
}

func (w *witness) confirmLocked(upto kafka.Offset) {
	t := w.last()
	if upto <= t.must {
		return
	}
	if upto > t.end {
		w.Errorf("%s: durable to %d, but it ends at %d", w.id, upto, t.end)
		return
	}
	t.must = upto
	for _, other := range w.tales {
		other.live = other.live && upto <= other.until
	}
}

func (w *witness) put(b record.Batches) {
	w.Helper()
	w.mu.Lock()
	t := w.last()
	t.pieces = append(t.pieces, pieces(b)...)
	t.end = t.pieces[len(t.pieces)-1].NextOffset()
	w.mu.Unlock()
	w.subject.put(b)
}

func (w *witness) sync() {
	w.Helper()
	w.subject.sync()
	w.mu.Lock()
	w.confirmLocked(w.model.end)
	w.mu.Unlock()
}

func (w *witness) truncate(end kafka.Offset) {
	w.Helper()
	if end >= w.model.end {
		return
	}
	w.mu.Lock()
	w.cutting = true
	after := w.model
	after.truncate(end)
	kept := slices.Clip(keepBelow(w.last().pieces, end))
	t := &tale{live: true, pieces: kept, end: max(end, after.end), must: min(w.last().must, after.end), until: forever}
	for _, old := range w.tales {
		old.must, old.until = min(old.must, after.end), min(old.until, after.end)
	}
	w.tales = append(w.tales, t)
	w.mu.Unlock()
	w.subject.truncate(end)
	w.epoch++
	w.mu.Lock()
	t.end = w.model.end
	w.cutting = false
	w.mu.Unlock()
}

func (w *witness) trim(start kafka.Offset) {
	w.Helper()
	w.mu.Lock()
	w.maxStart = max(w.maxStart, start)
	w.mu.Unlock()
	w.subject.trim(start)
	w.mu.Lock()
	w.minStart = w.model.start
	w.mu.Unlock()
}

func (w *witness) blob(name string, blob []byte) {
	w.Helper()
	w.mu.Lock()
	w.putting[name] = blob
	w.mu.Unlock()
	w.must(w.log.Sidecar().Put(name, blob))
	w.mu.Lock()
	w.blobs[name] = blob
	delete(w.putting, name)
	w.mu.Unlock()
}

// compact replaces a run of closed segments. When that has returned it is durable.
func (w *witness) compact() {
	w.Helper()
	g, ok := w.log.(storage.Segmented)
	if !ok {
		return
	}
	segs := g.Segments()
	if len(segs) < 2 {
		return
	}
	i := w.rng.IntN(len(segs) - 1)
	j := i + w.rng.IntN(len(segs)-1-i)
	var content []piece
	for _, s := range segs[i : j+1] {
		old, err := readSegment(g, s.Base)
		w.must(err)
		for _, p := range old {
			if w.rng.IntN(3) > 0 {
				content = append(content, p)
			}
		}
	}
	from, to := segs[i].Base, segs[j].Next
	w.mu.Lock()
	old := w.last()
	after := model{start: kafka.NoOffset, pieces: old.pieces}
	after.replace(from, to, content)
	w.tales = append(w.tales, &tale{live: true, pieces: slices.Clip(after.pieces), end: old.end, must: old.must, until: forever})
	w.mu.Unlock()
	w.must(g.ReplaceSegments(from, to, writer(content)))
	w.model.replace(from, to, content)
	w.mu.Lock()
	old.live = false
	w.mu.Unlock()
}

// check compares what was recovered with what may be there, and returns it.
func (x *expectation) check(l storage.Log) (model, error) {
	b := l.Bounds()
	m := model{start: b.Start, end: b.End}
	if b.Start < x.minStart || b.Start > max(x.maxStart, x.minStart) {
		return m, fmt.Errorf("the log begins at %d, but was trimmed to %d for certain and %d at most", b.Start, x.minStart, x.maxStart)
	}
	got, err := readAll(l)
	if err != nil {
		return m, err
	}
	m.pieces = got
	if err := m.compare(l, 1<<14); err != nil {
		return m, err
	}
	var errs []error
	for i := len(x.tales) - 1; i >= 0; i-- {
		err := x.tales[i].match(&m)
		if err == nil {
			return m, x.checkBlobs(l.Sidecar())
		}
		errs = append(errs, err)
	}
	return m, fmt.Errorf("the log %d..%d is none of %d that could be: %w", b.Start, b.End, len(x.tales), errors.Join(errs...))
}

func readAll(l storage.Log) (all []piece, err error) {
	b := l.Bounds()
	for at := b.Start; at < b.End; {
		x, err := l.Read(at, storage.ReadLimit{MaxBytes: 1 << 16, Below: kafka.NoOffset})
		if err != nil {
			return nil, fmt.Errorf("read what was recovered at %d: %w", at, err)
		}
		if x == nil {
			break
		}
		bytes, err := extentBytes(x)
		if err != nil {
			return nil, err
		}
		x.Release()
		got := pieces(bytes)
		if len(got) == 0 || got[0].NextOffset() <= at {
			return nil, fmt.Errorf("read what was recovered at %d: %d batches", at, len(got))
		}
		all = append(all, got...)
		at = got[len(got)-1].NextOffset()
	}
	return all, nil
}

// match reports how m differs from a prefix of the tale that is long enough.
func (t *tale) match(m *model) error {
	want := reachAbove(t.pieces, m.start)
	if len(m.pieces) > len(want) {
		return fmt.Errorf("%d batches of at most %d", len(m.pieces), len(want))
	}
	if err := samePieces(m.pieces, want[:len(m.pieces)]); err != nil {
		return err
	}
	most := max(t.end, m.start)
	if len(m.pieces) < len(want) {
		next := want[len(m.pieces)]
		if next.NextOffset() <= t.must {
			return fmt.Errorf("batch %s is lost, durable was everything below %d", next, t.must)
		}
		most = max(next.BaseOffset, m.start)
	}
	if m.end < t.must || m.end > most {
		return fmt.Errorf("the log ends at %d, confirmed was %d, possible is %d", m.end, t.must, most)
	}
	return nil
}

func (x *expectation) checkBlobs(c storage.Sidecar) error {
	for _, name := range []string{"epochs", "producers"} {
		got, err := c.Get(name)
		old, hadOld := x.blobs[name]
		put, hadPut := x.putting[name]
		switch {
		case err == nil && (hadOld && bytes.Equal(got, old) || hadPut && bytes.Equal(got, put)):
		case errors.Is(err, fs.ErrNotExist) && !hadOld:
		default:
			return fmt.Errorf("blob %s: %d bytes, %v; confirmed was one of %d bytes", name, len(got), err, len(old))
		}
	}
	return nil
}
