package partition

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
	"github.com/rafka-io/rafka/internal/storage"
)

// keyedTxns writes keyed records in transactions to a compacted partition, and remembers them all.
type keyedTxns struct {
	testing.TB
	p       *Partition
	engine  storage.Engine
	now     time.Time
	dice    *rand.Rand
	writers []*keyedWriter
	all     []keyedRecord
}

// keyedWriter is a producer: of version 1 with one epoch, or of version 2 with an epoch for each transaction.
type keyedWriter struct {
	pid     kafka.ProducerID
	epoch   kafka.ProducerEpoch
	next    kafka.Sequence
	version int16
	open    []int // places in all
}

type keyedRecord struct {
	offset     kafka.Offset
	key, value string
	committed  bool
	undecided  bool
}

func (k *keyedTxns) start() {
	k.p = compacted(k.engine)
	s := *k.p.Settings()
	s.Log.SegmentBytes, s.Compaction.SegmentBytes, s.ProducerExpiry = 700, 1400, 100*time.Hour
	k.p.Configure(&s)
	k.p.host.Now = func() time.Time { return k.now }
}

func (k *keyedTxns) write(w *keyedWriter, inTxn bool) {
	k.Helper()
	guard := TxnGuard{}
	if inTxn {
		var err error
		if guard, _, err = k.p.GuardTxn(w.pid, w.epoch, w.next, w.version == 2, 1); err != nil {
			k.Fatal(err)
		}
	}
	o := record.PlainOptions()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = w.pid, w.epoch, w.next, inTxn
	var recs []record.Record
	n := 1 + k.dice.IntN(3)
	for i := range n {
		r := keyedRecord{key: "k" + strconv.Itoa(k.dice.IntN(6)), value: strconv.Itoa(len(k.all)), committed: !inTxn, undecided: inTxn}
		if inTxn {
			w.open = append(w.open, len(k.all))
		}
		k.all = append(k.all, r)
		recs = append(recs, record.Record{Key: []byte(r.key), Value: []byte(r.value), Offset: kafka.Offset(i), Timestamp: kafka.Timestamp(k.now.UnixMilli())})
	}
	raw, err := record.Build(nil, o, recs)
	if err != nil {
		k.Fatal(err)
	}
	done, err := k.p.AppendAsLeader(Append{Records: raw, Guard: guard}, k.now)
	if err != nil {
		k.Fatal(err)
	}
	w.next = w.next.Add(int32(n))
	for i := range n {
		k.all[len(k.all)-n+i].offset = done.Base + kafka.Offset(i)
	}
}

func (k *keyedTxns) finish(w *keyedWriter, commit bool) {
	k.Helper()
	if w.version == 2 {
		w.epoch, w.next = w.epoch+1, 0
	}
	if err := k.p.AppendMarker(Marker{Producer: w.pid, Epoch: w.epoch, Commit: commit, Version: w.version}, k.now); err != nil {
		k.Fatal(err)
	}
	for _, i := range w.open {
		k.all[i].committed, k.all[i].undecided = commit, false
	}
	w.open = nil
}

// check reads as a client does that wants committed records: none but those, and the latest of each key.
func (k *keyedTxns) check() {
	k.Helper()
	read := map[kafka.Offset]string{}
	for from := k.p.LogStart(); ; {
		r, err := k.p.Read(ReadRequest{From: from, MaxBytes: 100 + k.dice.IntN(2000), AtLeastOne: true, CurrentEpoch: kafka.NoEpoch, FetchedEpoch: kafka.NoEpoch, Replica: kafka.NoBroker, Isolation: ReadCommitted})
		if err != nil {
			k.Fatal(err)
		}
		if r.Records == nil {
			break
		}
		all, _ := r.Records.Bytes()
		aborted, skip := r.Aborted, map[kafka.ProducerID]bool{}
		slices.SortFunc(aborted, func(x, y AbortedTxn) int { return cmp.Compare(x.First, y.First) })
		for h, raw := range all.All() {
			for len(aborted) > 0 && aborted[0].First <= h.LastOffset() {
				skip[aborted[0].Producer] = true
				aborted = aborted[1:]
			}
			from = h.NextOffset()
			for rec, err := range record.Records(raw, 0) {
				if err != nil {
					k.Fatal(err)
				}
				if h.IsControl() {
					if m, ok, _ := record.ParseEndTxnMarker(&rec); ok && !m.Commit {
						skip[h.ProducerID] = false
					}
				} else if !h.IsTransactional() || !skip[h.ProducerID] {
					read[rec.Offset] = string(rec.Key) + "=" + string(rec.Value)
				}
			}
		}
		r.Records.Release()
	}
	stable := k.p.HighWatermark()
	for _, r := range k.all {
		if r.undecided {
			stable = min(stable, r.offset)
		}
	}
	if got := k.p.LastStable(); got != stable {
		k.Fatalf("last stable offset %d, want %d", got, stable)
	}
	latest := map[string]keyedRecord{}
	for _, r := range k.all {
		if got, ok := read[r.offset]; ok && (!r.committed || got != r.key+"="+r.value) {
			k.Fatalf("read %s at offset %d, which is %+v", got, r.offset, r)
		}
		if r.committed && r.offset < stable {
			latest[r.key] = r
		}
	}
	for _, r := range latest {
		if read[r.offset] == "" {
			k.Fatalf("the latest of %s at %d was not read; %v", r.key, r.offset, read)
		}
	}
}

// CMP-3, CMP-4, T1, T2: while transactions commit and abort, compaction runs over days, the broker stops, dies without saving anything and
// loses what it had saved: who reads committed records gets the latest committed of each key, and never an aborted one.
func TestCompactionKeepsTransactionsRight(t *testing.T) {
	dice := seeded(t)
	removed := 0
	for range 25 {
		k := &keyedTxns{TB: t, engine: openMemory(t), now: time.UnixMilli(1_700_000_000_000), dice: dice}
		for i := range kafka.ProducerID(4) {
			k.writers = append(k.writers, &keyedWriter{pid: i, version: 1 + int16(i%2)})
		}
		k.start()
		for range 150 {
			w := k.writers[dice.IntN(4)]
			switch n := dice.IntN(20); {
			case n < 9:
				k.write(w, true)
			case n < 10 && len(w.open) == 0 && w.version == 1:
				k.write(w, false)
			case n < 15:
				k.finish(w, dice.IntN(2) == 0)
			case n < 18:
				k.now = k.now.Add(time.Duration(dice.IntN(90)) * time.Minute)
				result, _, err := k.p.Compact(context.Background(), k.now)
				if err != nil {
					t.Fatal(err)
				}
				removed += len(result.Vanished)
			case n < 19:
				if dice.IntN(2) == 0 {
					if err := k.p.Close(context.Background()); err != nil {
						t.Fatal(err)
					}
				}
				k.start()
			default:
				if l, err := k.p.load(); err != nil {
					t.Fatal(err)
				} else if err := l.Sidecar().Delete(producersBlob); err != nil {
					t.Fatal(err)
				}
				k.restartAsFold()
			}
			k.check()
		}
	}
	if removed == 0 {
		t.Error("no aborted transaction was ever removed")
	}
}

// restartAsFold begins anew with nothing saved. Sequences of producers that were compacted away may begin anywhere.
func (k *keyedTxns) restartAsFold() {
	k.start()
	k.p.savedUpto = kafka.NoOffset
}
