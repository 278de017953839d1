package group

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
)

// shares is a conversation of clients and a share coordinator with one share group, written down.
type shares struct {
	*world
	epoch map[string]int32
}

func newShares(t *testing.T) *shares {
	return &shares{world: newModernWorld(t), epoch: map[string]int32{}}
}

func (k *shares) Join(who string, topics ...string) { k.send(who, shareJoin("s", who, topics...)) }
func (k *shares) Beat(who string)                   { k.send(who, shareBeat("s", who, k.epoch[who])) }
func (k *shares) Leave(who string)                  { k.send(who, shareBeat("s", who, epochLeave)) }

func (k *shares) send(who string, req *kmsg.ShareGroupHeartbeatRequest) {
	k.say("%s at epoch %d subscribes to %v", who, req.MemberEpoch, req.SubscribedTopicNames)
	resp, err := k.shareBeat(req)
	switch {
	case err != nil:
		k.say("  failed: %v", err)
	case resp.ErrorCode != 0:
		k.say("  %v %s", code(resp.ErrorCode), deref(resp.ErrorMessage))
	default:
		k.epoch[who] = max(0, resp.MemberEpoch)
		assignment := "as before"
		if resp.Assignment != nil {
			assignment = k.sets(shareAssignment(resp))
		}
		k.say("  epoch %d, next in %d ms, assigned %s", resp.MemberEpoch, resp.HeartbeatIntervalMillis, assignment)
	}
	k.look()
}

func shareAssignment(resp *kmsg.ShareGroupHeartbeatResponse) assign.Partitions {
	var list []assign.Topic
	for _, t := range resp.Assignment.TopicPartitions {
		list = append(list, assign.Topic{ID: t.TopicID, Partitions: t.Partitions})
	}
	return assign.Of(list)
}

// look writes down effects, notes and where the group is.
func (k *shares) look() {
	for _, e := range k.Effects() {
		switch e := e.(type) {
		case InitShareState:
			k.say("    effect: initialize, state epoch %d: %s", e.Epoch, partitionsText(e.Partitions, true))
		case DeleteShareState:
			k.say("    effect: delete %s", partitionsText(e.Partitions, false))
		}
	}
	for line := range strings.Lines(k.Notes()) {
		k.say("    note: %s", strings.TrimPrefix(strings.TrimSpace(line), "s: "))
	}
	state := k.Shard.shareTopicsOf("s")
	var deleting []string
	for _, id := range state.deleting {
		deleting = append(deleting, state.names[id])
	}
	states := fmt.Sprintf("initializing %s initialized %s deleting %v", k.sets(state.initializing), k.sets(state.initialized), deleting)
	g, ok := named[*shareGroup](k.Shard, "s")
	if !ok {
		k.say("    no group; %s", states)
		return
	}
	h := g.head.Get()
	var members []string
	for _, m := range g.sorted() {
		members = append(members, fmt.Sprintf("%s@%d", m.id, m.at.epoch))
	}
	k.say("    group: %s epoch %d target %d %v; %s", g.state(k.view()), h.epoch, h.targetEpoch, members, states)
}

func partitionsText(list []TopicIDPartitions, starts bool) string {
	var parts []string
	for _, t := range list {
		s := fmt.Sprintf("%s%v", t.Topic, t.Partitions)
		if starts {
			s += fmt.Sprintf(" from %d", t.StartOffset)
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

// initialized is what a host says when the states have begun.
func (k *shares) initialized(topics ...TopicIDPartitions) {
	k.say("initialized: %s", partitionsText(topics, false))
	if err := k.op(func(op *coordinator.Op) { k.Shard.ShareStateInitialized(op, "s", topics) }); err != nil {
		k.say("  failed: %v", err)
	}
	k.look()
}

func (k *shares) deleted(topics ...TopicIDPartitions) {
	k.say("deleted: %s", partitionsText(topics, false))
	if err := k.op(func(op *coordinator.Op) { k.Shard.ShareStateDeleted(op, "s", topics) }); err != nil {
		k.t.Fatal(err)
	}
	k.look()
}

func (k *shares) of(topic string, partitions ...int32) TopicIDPartitions {
	return TopicIDPartitions{TopicID: k.Image.Topics.ByName(topic).ID, Topic: topic, Partitions: partitions}
}

func (k *shares) Pass(d time.Duration) {
	k.say("%v pass", d)
	k.Advance(d)
	k.look()
}

// Members are assigned partitions whose state has begun.
func TestShareGroupLife(t *testing.T) {
	k := newShares(t)
	k.Join("a", "orders")
	k.Beat("a")
	k.initialized(k.of("orders", 0, 1, 2))
	k.Beat("a")
	k.Join("b", "orders", "bills")
	k.Pass(time.Second)
	k.Beat("a")
	k.Beat("b")
	k.initialized(k.of("bills", 0, 1))
	k.Pass(time.Second)
	k.Beat("b")
	k.say("--- orders grows; the host does not answer in time")
	k.grow("orders", 1)
	k.look()
	k.Pass(31 * time.Second)
	k.initialized(k.of("orders", 3))
	k.Beat("a")
	k.Beat("b")
	k.say("--- bills is deleted")
	k.removeTopic("bills")
	k.look()
	k.Pass(time.Second)
	k.Beat("b")
	k.say("--- restart, and a is not heard of again")
	k.Restart()
	k.look()
	k.Pass(40 * time.Second)
	k.Beat("b")
	k.Pass(5 * time.Second)
	k.Beat("b")
	k.say("--- b leaves, the group is deleted")
	k.Leave("b")
	r := must(k.world, func(op *coordinator.Op) kmsg.DeleteGroupsResponseGroup { return k.Shard.DeleteGroup(op, "s") })
	k.say("  %v", code(r.ErrorCode))
	k.look()
	k.say("--- restart before the states are gone")
	k.Restart()
	k.look()
	k.deleted(k.of("orders", 0, 1, 2, 3))
	k.Restart()
	k.look()
	k.golden("testdata/share_life.txt")
}

func TestShareGroupErrorsAndEpochs(t *testing.T) {
	k := newShares(t)
	k.Beat("a")
	k.send("a", shareBeat("s", "a", 3))
	k.send("", shareJoin("s", "", "orders"))
	k.send("a", shareJoin("", "a", "orders"))
	k.send("a", shareBeat("s", "a", -2))
	k.send("a", shareJoin("s", strings.Repeat("x", maxName+1), "orders"))
	empty := ""
	rack := shareJoin("s", "a", "orders")
	rack.RackID = &empty
	k.send("a", rack)
	k.cfg.Share.MaxSize = 2
	k.Join("a", "orders")
	k.Join("b", "orders")
	k.Join("c", "orders")
	k.send("a", shareBeat("s", "a", 7))
	k.initialized(k.of("orders", 0, 1, 2))
	k.Pass(time.Second)
	k.Beat("a")
	k.say("a has not got the last answer")
	k.send("a", shareBeat("s", "a", k.epoch["b"]))
	k.Pass(time.Second)
	k.Beat("x")
	k.broken = true
	k.Leave("a")
	k.broken = false
	k.Leave("a")
	k.say("a consumer group is no share group")
	if _, err := k.consumerBeat(joinBeat("g", "m", "orders")); err != nil {
		t.Fatal(err)
	}
	k.send("a", shareJoin("g", "a", "orders"))
	k.golden("testdata/share_errors.txt")
}

// Setting and deleting offsets.
func TestShareGroupOffsetsAreSetAndDeletedWhileItIsEmpty(t *testing.T) {
	k := newShares(t)
	alter := func(topics ...TopicIDPartitions) {
		k.say("alter %s", partitionsText(topics, false))
		if err := k.op(func(op *coordinator.Op) {
			epoch, err := k.Shard.AlterShareState(op, "s", topics)
			k.say("  epoch %d %v", epoch, kafka.CodeOf(err))
		}); err != nil {
			t.Fatal(err)
		}
		k.look()
	}
	remove := func(topics ...string) {
		k.say("delete offsets of %v", topics)
		if err := k.op(func(op *coordinator.Op) {
			list, err := k.Shard.DeleteShareState(op, "s", topics)
			k.say("  %s %v", partitionsText(list, false), kafka.CodeOf(err))
		}); err != nil {
			t.Fatal(err)
		}
		k.look()
	}
	remove("orders")
	alter(k.of("orders", 1))
	k.initialized(k.of("orders", 1))
	k.Join("a", "orders")
	alter(k.of("orders", 1))
	remove("orders")
	k.initialized(k.of("orders", 0, 2))
	k.Leave("a")
	alter(k.of("orders", 0))
	k.initialized(k.of("orders", 0))
	remove("orders", "bills", "unknown", "orders")
	remove("orders")
	k.say("it is subscribed to again before the state is gone")
	k.Join("a", "orders")
	k.deleted(k.of("orders", 0, 1, 2))
	k.Read(func(s *Shard, v coordinator.View) {
		list, err := s.SharePartitions(v, "s")
		k.say("its partitions: %s %v", partitionsText(list, false), kafka.CodeOf(err))
		_, err = s.SharePartitions(v, "other")
		k.say("those of another: %v", kafka.CodeOf(err))
		d := s.DescribeShareGroup(v, "s")
		k.say("described: %s %d %d %s members %d, another: %v", d.GroupState, d.GroupEpoch, d.AssignmentEpoch, d.Assignor, len(d.Members), code(s.DescribeShareGroup(v, "other").ErrorCode))
	})
	k.golden("testdata/share_offsets.txt")
}

// Whatever happens, a member is assigned only partitions whose state has begun, and, when things are calm, every partition has a member
// (GRP-2, GRP-5, GRP-6).
func TestShareGroupsAssignOnlyWhatHasBegun(t *testing.T) {
	first := seedOf(t)
	for i := range uint64(60) {
		var logs [2]string
		for run := range logs {
			seed := first + i
			r := rand.New(rand.NewPCG(seed, 4))
			w := newModernWorld(t)
			epochs, effects := map[string]int32{}, []any(nil)
			host := func() {
				for _, e := range effects {
					_ = w.op(func(op *coordinator.Op) {
						switch e := e.(type) {
						case InitShareState:
							w.Shard.ShareStateInitialized(op, e.Group, e.Partitions)
						case DeleteShareState:
							w.Shard.ShareStateDeleted(op, e.Group, e.Partitions)
						}
					})
				}
				effects = nil
			}
			send := func(id string) {
				req := shareBeat("s", id, epochs[id])
				if epochs[id] == 0 {
					req.SubscribedTopicNames = [][]string{{"orders"}, {"bills"}, {"bills", "orders"}, {"late", "orders"}}[r.IntN(4)]
				}
				if r.IntN(20) == 0 {
					req.MemberEpoch, req.SubscribedTopicNames = epochLeave, nil
				}
				resp, err := w.shareBeat(req)
				switch {
				case err != nil || r.IntN(10) == 0:
				case resp.ErrorCode != 0:
					epochs[id] = 0
				default:
					epochs[id] = max(0, resp.MemberEpoch)
				}
			}
			for step := range 200 {
				id := fmt.Sprintf("m%d", r.IntN(8))
				w.broken = r.IntN(20) == 0
				switch r.IntN(12) {
				case 0:
					w.broken = false
					w.Advance(time.Duration(r.IntN(20_000)) * time.Millisecond)
				case 1:
					host()
				case 2:
					if r.IntN(4) == 0 && len(effects) > 0 {
						effects = effects[1:] // the host has forgotten one
					}
				case 3:
					switch w.broken = false; {
					case w.Image.Topics.ByName("late") == nil:
						w.topic("late", 2)
					case r.IntN(3) == 0:
						w.removeTopic("late")
					default:
						w.grow("orders", 1)
					}
				case 4:
					before := w.modernState()
					w.Restart()
					if after := w.modernState(); !sameShareState(before, after) {
						t.Fatalf("RAFKA_SEED=%d step %d: before a restart\n%s\nafter it\n%s", seed, step, before, after)
					}
				default:
					send(id)
				}
				w.broken = false
				effects = append(effects, w.Effects()...)
				begun := w.Shard.shareTopicsOf("s").initialized
				if g, ok := named[*shareGroup](w.Shard, "s"); ok {
					for _, m := range g.sorted() {
						target, _ := g.targets.Get(m.id)
						for id, part := range target.Each {
							if w.Image.Topics.ByID(id) != nil && !begun.Has(id, part) {
								t.Fatalf("RAFKA_SEED=%d step %d: %s is to have %v-%d, which has not begun\n%s", seed, step, m.id, id, part, w.modernState())
							}
						}
						if h := g.head.Get(); m.at.epoch > h.targetEpoch || h.targetEpoch > h.epoch {
							t.Fatalf("RAFKA_SEED=%d step %d: %s", seed, step, w.modernState())
						}
					}
				}
			}
			// The host catches up, and those who are members still hear of it.
			for range 4 {
				effects = append(effects, w.Effects()...)
				host()
				w.Advance(31 * time.Second)
				g, ok := named[*shareGroup](w.Shard, "s")
				if !ok {
					continue
				}
				for _, m := range g.sorted() {
					if resp, err := w.shareBeat(shareBeat("s", m.id, m.at.epoch)); err != nil || resp.ErrorCode != 0 {
						t.Fatalf("RAFKA_SEED=%d: %s is told %v, %v", seed, m.id, code(resp.ErrorCode), err)
					}
				}
			}
			if g, ok := named[*shareGroup](w.Shard, "s"); ok && !g.isEmpty() {
				for _, name := range sortedKeys(g.names) {
					topic, has := w.Image.Topics.ByName(name), assign.Partitions(nil)
					for _, m := range g.sorted() {
						has = has.Or(m.at.assigned)
					}
					if topic != nil && len(has.Topic(topic.ID)) != len(topic.Partitions) {
						t.Fatalf("RAFKA_SEED=%d: of %s only %v have a member\n%s", seed, name, has.Topic(topic.ID), w.modernState())
					}
				}
			}
			logs[run] = fmt.Sprint(w.Log)
			if i%10 > 0 {
				break
			}
		}
		if logs[1] != "" && logs[0] != logs[1] {
			t.Fatalf("RAFKA_SEED=%d: the same history wrote different records", first+i)
		}
	}
}

// sameShareState compares what records say; what began or went while nobody led the shard may be noticed by a restart.
func sameShareState(a, b string) bool {
	keep := func(s string) (lines []string) {
		for line := range strings.Lines(s) {
			if !strings.Contains(line, "states of") {
				lines = append(lines, line)
			}
		}
		return lines
	}
	return slices.Equal(keep(a), keep(b))
}
