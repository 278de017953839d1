package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group"
	"github.com/rafka-io/rafka/internal/coordinator/txn"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/record"
)

// pipeline is a transactional producer of the second version: each transaction writes to some partitions and, perhaps, commits an offset of a group.
type pipeline struct {
	*machine
	id     string
	tps    []kafka.TopicPartition
	p      coordinator.Producer
	seqs   map[kafka.TopicPartition]kafka.Sequence // of this epoch; looked up only
	number int
	now    *transaction // nil: none
	all    []*transaction
	idle   bool
}

// transaction is one of them, as its client knows it.
type transaction struct {
	number   int
	wrote    map[kafka.TopicPartition]int // records acknowledged; looked up only
	offset   int64                        // -1: none
	outcome  outcome
	steps    []kafka.TopicPartition
	commits  bool // what is wanted
	deciding bool
}

type outcome int8

const (
	unknownOutcome outcome = iota
	committedOutcome
	abortedOutcome
)

func (w *world) newPipeline(name string, tps []kafka.TopicPartition) *pipeline {
	return &pipeline{machine: w.newMachine(name), id: name, tps: tps, p: coordinator.Producer{ID: kafka.NoProducer, Epoch: -1}}
}

func (p *pipeline) start() { p.init() }

func (p *pipeline) coordinator() kafka.TopicPartition {
	return kafka.TopicPartition{Topic: txnTopic, Partition: coordinator.PartitionOf(p.id, internalPartitions)}
}

// pause goes on after a moment.
func (p *pipeline) pause(fn func()) {
	p.after(p.w.between(2*time.Millisecond, 60*time.Millisecond), fn)
}

// init gets a producer id and epoch as a new instance, which aborts what is open.
func (p *pipeline) init() {
	at := p.coordinator()
	p.leader(at, func(to *node) {
		q := kmsg.NewPtrInitProducerIDRequest()
		q.Version, q.TransactionalID, q.TransactionTimeoutMillis, q.ProducerID, q.ProducerEpoch = 5, &p.id, 4000, -1, -1
		p.w.ids++
		fresh := kafka.ProducerID(p.w.ids)
		call(p.endpoint, to, request{what: "init", patience: 3 * time.Second}, func(reply func(*kmsg.InitProducerIDResponse, error)) {
			askLater(to.txnShard(p.id), reply, func(s *txn.Shard, op *coordinator.Op, later *coordinator.Reply[*kmsg.InitProducerIDResponse]) {
				s.InitProducerID(op, q, fresh, later)
			})
		}, func(a *kmsg.InitProducerIDResponse, err error) {
			if err != nil || a.ErrorCode != 0 {
				p.forget(at)
				p.pause(p.init)
				return
			}
			p.p = coordinator.Producer{ID: kafka.ProducerID(a.ProducerID), Epoch: kafka.ProducerEpoch(a.ProducerEpoch)}
			p.seqs = map[kafka.TopicPartition]kafka.Sequence{}
			p.now = nil
			p.pause(p.begin)
		})
	})
}

// begin makes up a transaction.
func (p *pipeline) begin() {
	if p.w.calm {
		p.idle = true
		return
	}
	p.number++
	t := &transaction{number: p.number, wrote: map[kafka.TopicPartition]int{}, offset: -1, commits: p.w.chance(750)}
	for range 1 + p.w.dice.IntN(4) {
		t.steps = append(t.steps, pick(p.w, p.tps))
	}
	if p.w.chance(500) {
		t.offset = int64(t.number)
	}
	p.now, p.all = t, append(p.all, t)
	p.step()
}

// step writes the next batch, or goes on to the offset and the end.
func (p *pipeline) step() {
	t := p.now
	if len(t.steps) == 0 {
		if t.offset >= 0 {
			p.stage(0)
		} else {
			p.end(t.commits)
		}
		return
	}
	tp := t.steps[0]
	o := record.PlainOptions()
	o.ProducerID, o.ProducerEpoch, o.BaseSequence, o.Transactional = p.p.ID, p.p.Epoch, p.seqs[tp], true
	n := 1 + p.w.dice.IntN(2)
	recs := make([]record.Record, n)
	for i := range recs {
		value := fmt.Sprintf("%s/%d/%d", p.id, t.number, t.wrote[tp]+i)
		recs[i] = record.Record{Value: []byte(value), Offset: kafka.Offset(i), Timestamp: kafka.Timestamp(epoch.UnixMilli())}
	}
	raw, err := record.Build(nil, o, recs)
	if err != nil {
		p.w.fail("%v", err)
	}
	p.write(tp, raw, n, o.BaseSequence, 0)
}

func (p *pipeline) write(tp kafka.TopicPartition, raw []byte, n int, seq kafka.Sequence, tries int) {
	t := p.now
	p.leader(tp, func(to *node) {
		call(p.endpoint, to, request{what: "produce", patience: 3 * time.Second}, func(reply func(produced, error)) {
			to.produceTxn(p.id, p.p, seq, tp, raw, reply)
		}, func(a produced, err error) {
			switch code := kafka.CodeOf(err); {
			case err == nil:
				p.w.truth.acknowledged(p.name, tp, a.base, crcOf(raw))
				t.wrote[tp] += n
				p.seqs[tp] = seq.Add(int32(n))
				t.steps = t.steps[1:]
				p.step()
			case code == kafka.InvalidProducerEpoch || code == kafka.ProducerFenced || code == kafka.InvalidProducerIDMapping ||
				code == kafka.InvalidTxnState || code == kafka.TransactionAbortable || code == kafka.OutOfOrderSequenceNumber:
				p.w.say("%s: transaction %d fails at %s: %v", p.name, t.number, tp, err)
				p.end(false)
			case tries > 60:
				p.end(false)
			default:
				p.forget(tp)
				p.pause(func() { p.write(tp, raw, n, seq, tries+1) })
			}
		})
	})
}

// groupID is the group whose offset the transactions commit.
func (p *pipeline) groupID() string { return "of " + p.id }

func (p *pipeline) stage(tries int) {
	t := p.now
	q := kmsg.NewPtrTxnOffsetCommitRequest()
	q.Version, q.TransactionalID, q.Group, q.ProducerID, q.ProducerEpoch, q.Generation = 5, p.id, p.groupID(), int64(p.p.ID), int16(p.p.Epoch), -1
	topic, one := kmsg.NewTxnOffsetCommitRequestTopic(), kmsg.NewTxnOffsetCommitRequestTopicPartition()
	one.Offset = t.offset
	topic.Topic, topic.Partitions = "orders", append(topic.Partitions, one)
	q.Topics = append(q.Topics, topic)
	at := kafka.TopicPartition{Topic: offsetsTopic, Partition: coordinator.PartitionOf(q.Group, internalPartitions)}
	p.leader(at, func(to *node) {
		call(p.endpoint, to, request{what: "stage", patience: 3 * time.Second}, func(reply func(kafka.ErrorCode, error)) {
			to.commitTxnOffsets(q, reply)
		}, func(code kafka.ErrorCode, err error) {
			if err != nil {
				code = kafka.CodeOf(err)
			}
			switch {
			case code == kafka.None:
				p.end(t.commits)
			case code == kafka.InvalidProducerEpoch || code == kafka.ProducerFenced || code == kafka.InvalidProducerIDMapping ||
				code == kafka.InvalidTxnState || code == kafka.TransactionAbortable || tries > 60:
				p.end(false)
			default:
				p.forget(at)
				p.pause(func() { p.stage(tries + 1) })
			}
		})
	})
}

// end asks for the decision until it is known, or somebody else has made it.
func (p *pipeline) end(commit bool) {
	t, at := p.now, p.coordinator()
	if commit {
		t.deciding = true
	}
	p.leader(at, func(to *node) {
		q := kmsg.NewPtrEndTxnRequest()
		q.Version, q.TransactionalID, q.ProducerID, q.ProducerEpoch, q.Commit = 5, p.id, int64(p.p.ID), int16(p.p.Epoch), commit
		call(p.endpoint, to, request{what: "end", patience: 3 * time.Second}, func(reply func(*kmsg.EndTxnResponse, error)) {
			askLater(to.txnShard(p.id), reply, func(s *txn.Shard, op *coordinator.Op, later *coordinator.Reply[*kmsg.EndTxnResponse]) {
				s.EndTransaction(op, q, kafka.NoProducer, later)
			})
		}, func(a *kmsg.EndTxnResponse, err error) {
			code := kafka.CodeOf(err)
			if err == nil {
				code = kafka.ErrorCode(a.ErrorCode)
			}
			switch code {
			case kafka.None:
				t.outcome = abortedOutcome
				if commit {
					t.outcome = committedOutcome
				}
				p.w.say("%s: transaction %d is decided, commit %v", p.name, t.number, commit)
				p.p = coordinator.Producer{ID: kafka.ProducerID(a.ProducerID), Epoch: kafka.ProducerEpoch(a.ProducerEpoch)}
				p.seqs = map[kafka.TopicPartition]kafka.Sequence{}
				p.now = nil
				p.pause(p.begin)
			case kafka.ProducerFenced, kafka.InvalidProducerEpoch, kafka.InvalidProducerIDMapping, kafka.InvalidTxnState:
				// It was aborted because its time was out; or, if a commit was asked for before, that may have been done.
				if !t.deciding {
					t.outcome = abortedOutcome
				}
				p.w.say("%s: the end of transaction %d is refused: %s", p.name, t.number, code.Name())
				p.init()
			default:
				p.forget(at)
				p.pause(func() { p.end(commit) })
			}
		})
	})
}

func (p *pipeline) atRest() string {
	if !p.idle {
		return p.name + " has a transaction under way"
	}
	return ""
}

// finally sees that transactions are whole (SIM-7): what is visible to those who read committed records is all of a transaction or nothing, and what
// the client was told.
func (p *pipeline) finally() {
	seen := map[string]int{} // by transaction and partition; looked up only
	for _, tp := range p.tps {
		for _, v := range p.w.truth.part(tp).visible() {
			if rest, ok := strings.CutPrefix(v, p.id+"/"); ok {
				number, index, _ := strings.Cut(rest, "/")
				key := number + " " + tp.String()
				if index != fmt.Sprint(seen[key]) {
					p.w.fail("%s sees record %s of transaction %s in %s, and %d comes next", p.name, index, number, tp, seen[key])
				}
				seen[key]++
			}
		}
	}
	for _, t := range p.all {
		visible, hidden := 0, 0
		for _, tp := range p.tps {
			n := seen[fmt.Sprintf("%d %s", t.number, tp)]
			switch {
			case n > 0 && n >= t.wrote[tp]:
				visible++
			case n > 0:
				p.w.fail("transaction %d of %s: %d of %d records are visible in %s", t.number, p.name, n, t.wrote[tp], tp)
			case t.wrote[tp] > 0:
				hidden++
			}
		}
		switch {
		case visible > 0 && hidden > 0:
			p.w.fail("transaction %d of %s is visible in %d partitions and not in %d", t.number, p.name, visible, hidden)
		case t.outcome == committedOutcome && hidden > 0:
			p.w.fail("transaction %d of %s was committed and is not visible", t.number, p.name)
		case t.outcome == abortedOutcome && visible > 0:
			p.w.fail("transaction %d of %s was aborted and is visible", t.number, p.name)
		}
	}
	p.finalOffset()
}

// finalOffset sees that the offset of the group is that of the last transaction which is visible and had one.
func (p *pipeline) finalOffset() {
	least, most := int64(-1), int64(-1)
	for _, t := range p.all {
		if t.offset < 0 {
			continue
		}
		if t.outcome == committedOutcome {
			least, most = t.offset, t.offset
		} else if t.outcome == unknownOutcome {
			most = t.offset
		}
	}
	got, err := p.w.finalOffset(p.groupID(), 0)
	if err != nil {
		p.w.fail("the offsets of group %q cannot be read at the end: %v", p.groupID(), err)
	}
	if got < least || got > most {
		for _, b := range p.w.truth.part(kafka.TopicPartition{Topic: offsetsTopic, Partition: coordinator.PartitionOf(p.groupID(), internalPartitions)}).committed {
			if b.h.ProducerID == p.p.ID {
				p.w.say("offset %d epoch %d: producer %d in epoch %d, control %v", b.h.BaseOffset, b.h.LeaderEpoch, b.h.ProducerID, b.h.ProducerEpoch, b.h.IsControl())
			}
		}
		for _, t := range p.all {
			p.w.say("transaction %d offset %d outcome %d wanted %v", t.number, t.offset, t.outcome, t.commits)
		}
		p.w.fail("the offset of group %q is %d at the end, and should be between %d and %d", p.groupID(), got, least, most)
	}
}

// finalOffset is the committed offset of a group for a partition of the topic orders, as its coordinator has it at the end.
func (w *world) finalOffset(name string, partition int32) (int64, error) {
	at := kafka.TopicPartition{Topic: offsetsTopic, Partition: coordinator.PartitionOf(name, internalPartitions)}
	_, s, _ := w.store.image().Partition(at)
	return w.nodes[s.Leader-1].fetchOffset(name, partition)
}

// fetchOffset reads a stable committed offset.
func (n *node) fetchOffset(name string, partition int32) (int64, error) {
	q := kmsg.NewOffsetFetchRequestGroup()
	q.Group = name
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic, t.Partitions = "orders", []int32{partition}
	q.Topics, q.MemberEpoch = append(q.Topics, t), -1
	a, err := look(n.groupShard(name), func(s *group.Shard, v coordinator.View) kmsg.OffsetFetchResponseGroup {
		return s.OffsetFetch(v, &q, true)
	})
	switch {
	case err != nil:
		return 0, err
	case a.ErrorCode != 0:
		return 0, kafka.ErrorCode(a.ErrorCode)
	case a.Topics[0].Partitions[0].ErrorCode != 0:
		return 0, kafka.ErrorCode(a.Topics[0].Partitions[0].ErrorCode)
	}
	return a.Topics[0].Partitions[0].Offset, nil
}

// visible are the values of a partition that who reads committed records gets, in order.
func (p *part) visible() []string { return p.visibleTo(func(kafka.Offset) bool { return false }) }

// visibleTo is visible for who skipped some offsets.
func (p *part) visibleTo(skipped func(kafka.Offset) bool) (values []string) {
	// From the end to the beginning: the next marker of its producer decides about a batch.
	decided := map[kafka.ProducerID]bool{}
	keep := make([]bool, len(p.committed))
	for i := len(p.committed) - 1; i >= 0; i-- {
		b := &p.committed[i]
		switch {
		case b.h.IsControl():
			for r := range record.Records(b.raw, 1<<20) {
				if m, ok, _ := record.ParseEndTxnMarker(&r); ok {
					decided[b.h.ProducerID] = m.Commit
				}
			}
		case b.h.IsTransactional():
			keep[i] = decided[b.h.ProducerID]
		default:
			keep[i] = true
		}
	}
	for i := range p.committed {
		if keep[i] {
			for r := range record.Records(p.committed[i].raw, 1<<20) {
				if !skipped(r.Offset) {
					values = append(values, string(r.Value))
				}
			}
		}
	}
	return values
}
