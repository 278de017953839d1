package assign_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rafka-io/rafka/internal/coordinator/group/assign"
	"github.com/rafka-io/rafka/internal/kafka"
)

func topicID(n int) kafka.UUID { return kafka.UUID{0: byte(n >> 8), 1: byte(n), 15: 7} }

// world is a group whose members, subscriptions and topics change at random.
type world struct {
	*rand.Rand
	members []assign.Member
	topics  assign.Counts
	mixed   bool
	next    int
}

func newWorld(seed uint64, mixed bool) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 1)), topics: assign.Counts{}, mixed: mixed}
	for range 1 + w.IntN(6) {
		w.topics[topicID(len(w.topics))] = int32(1 + w.IntN(12))
	}
	for range 1 + w.IntN(8) {
		w.join()
	}
	return w
}

func (w *world) allTopics() (ids []kafka.UUID) {
	for i := range len(w.topics) {
		ids = append(ids, topicID(i))
	}
	return ids
}

func (w *world) join() {
	m := assign.Member{ID: fmt.Sprintf("m%03d", w.IntN(1000)*1000+w.next), Topics: w.allTopics()}
	if w.IntN(3) == 0 {
		m.Instance = fmt.Sprintf("i%d", w.next)
	}
	w.next++
	w.members = append(w.members, m)
	w.resubscribe(len(w.members) - 1)
}

func (w *world) resubscribe(i int) {
	if w.mixed {
		ids := w.allTopics()
		w.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		w.members[i].Topics = ids[:w.IntN(len(ids)+1)]
	}
}

// step changes something and says what.
func (w *world) step() string {
	switch n := w.IntN(6); {
	case n < 2:
		w.join()
		return "join"
	case n == 2 && len(w.members) > 1:
		i := w.IntN(len(w.members))
		w.members = slices.Delete(w.members, i, i+1)
		return "leave"
	case n == 3:
		w.topics[topicID(w.IntN(len(w.topics)))] += int32(1 + w.IntN(4))
		return "grow"
	case n == 4:
		w.topics[topicID(len(w.topics))] = int32(1 + w.IntN(6))
		for i := range w.members {
			if !w.mixed || w.IntN(2) == 0 {
				w.members[i].Topics = append(slices.Clone(w.members[i].Topics), topicID(len(w.topics)-1))
			}
		}
		return "new topic"
	case len(w.members) > 0:
		w.resubscribe(w.IntN(len(w.members)))
	}
	return "nothing"
}

// regular fails unless the sets are in order and name only what exists and is subscribed to.
func regular(t *testing.T, w *world, got []assign.Partitions) {
	t.Helper()
	for i, set := range got {
		if !slices.EqualFunc(set, assign.Of(set), func(a, b assign.Topic) bool { return a.ID == b.ID && slices.Equal(a.Partitions, b.Partitions) }) {
			t.Fatalf("%s has an irregular set %v", w.members[i].ID, set)
		}
		for id, part := range each(set) {
			if part < 0 || part >= w.topics[id] || !slices.Contains(w.members[i].Topics, id) {
				t.Fatalf("%s has %v-%d, which it may not have", w.members[i].ID, id[:2], part)
			}
		}
	}
}

func each(s assign.Partitions) func(func(kafka.UUID, int32) bool) { return s.Each }

// owners counts the members of each partition that somebody subscribes to.
func owners(w *world, got []assign.Partitions) map[kafka.UUID][]int {
	counts := map[kafka.UUID][]int{}
	for _, m := range w.members {
		for _, id := range m.Topics {
			counts[id] = make([]int, w.topics[id])
		}
	}
	for _, set := range got {
		for id, part := range each(set) {
			counts[id][part]++
		}
	}
	return counts
}

func loads(got []assign.Partitions) (least, most int) {
	least = 1 << 30
	for _, set := range got {
		least, most = min(least, set.Len()), max(most, set.Len())
	}
	return least, most
}

type assignor = func([]assign.Member, assign.Counts) []assign.Partitions

// run plays random histories and hands check what came before and after each step.
func run(t *testing.T, mixed bool, assignor assignor, check func(w *world, what string, before map[string]assign.Partitions, got []assign.Partitions)) {
	t.Helper()
	for seed := range uint64(300) {
		w := newWorld(seed, mixed)
		for step := range 15 {
			what := "start"
			before := map[string]assign.Partitions{}
			if step > 0 {
				for _, m := range w.members {
					before[m.ID] = m.Had
				}
				what = w.step()
			}
			got := assignor(w.members, w.topics)
			if len(got) != len(w.members) {
				t.Fatalf("seed %d step %d: %d sets for %d members", seed, step, len(got), len(w.members))
			}
			regular(t, w, got)
			// GRP-5: the order in which members and their topics come makes no difference.
			order := w.Perm(len(w.members))
			shuffled := make([]assign.Member, len(order))
			for i, j := range order {
				shuffled[i] = w.members[j]
				shuffled[i].Topics = slices.Clone(shuffled[i].Topics)
				w.Shuffle(len(shuffled[i].Topics), func(a, b int) {
					shuffled[i].Topics[a], shuffled[i].Topics[b] = shuffled[i].Topics[b], shuffled[i].Topics[a]
				})
			}
			for i, set := range assignor(shuffled, w.topics) {
				if !set.Equal(got[order[i]]) {
					t.Fatalf("seed %d step %d (%s): %s depends on the order of the members", seed, step, what, shuffled[i].ID)
				}
			}
			check(w, fmt.Sprintf("seed %d step %d (%s)", seed, step, what), before, got)
			for i := range w.members {
				w.members[i].Had = got[i]
			}
			// Asked again with nothing changed, nothing changes.
			for i, set := range assignor(w.members, w.topics) {
				if !set.Equal(got[i]) {
					t.Fatalf("seed %d step %d (%s): %s changes without a reason from %v to %v", seed, step, what, w.members[i].ID, got[i], set)
				}
			}
			if t.Failed() {
				return
			}
		}
	}
}

func oneOwnerEach(t *testing.T, w *world, what string, got []assign.Partitions) {
	t.Helper()
	for id, counts := range owners(w, got) {
		for part, n := range counts {
			if n != 1 {
				t.Errorf("%s: %v-%d has %d owners", what, id[:2], part, n)
			}
		}
	}
}

func TestUniformGivesEachPartitionOneOwnerEvenlyAndMovesTheFewest(t *testing.T) {
	run(t, false, assign.Uniform, func(w *world, what string, before map[string]assign.Partitions, got []assign.Partitions) {
		oneOwnerEach(t, w, what, got)
		least, most := loads(got)
		if most-least > 1 {
			t.Errorf("%s: loads from %d to %d", what, least, most)
		}
		// The most that any even assignment can leave in place: quotas are floor, and one more for those who have more, while extras last.
		total, stayed, most2 := 0, 0, 0
		for _, n := range w.topics {
			total += int(n)
		}
		floor, extras := total/len(w.members), total%len(w.members)
		for i, m := range w.members {
			stayed += got[i].And(before[m.ID]).Len()
			had := before[m.ID].Len()
			if had > floor && extras > 0 {
				extras--
				most2++
			}
			most2 += min(had, floor)
		}
		if stayed != most2 {
			t.Errorf("%s: %d partitions stayed where %d could", what, stayed, most2)
		}
	})
}

func TestUniformWithMixedSubscriptionsLeavesNoMoveThatEvensLoads(t *testing.T) {
	run(t, true, assign.Uniform, func(w *world, what string, before map[string]assign.Partitions, got []assign.Partitions) {
		oneOwnerEach(t, w, what, got)
		for i, giver := range got {
			for id := range each(giver) {
				for j, taker := range got {
					if slices.Contains(w.members[j].Topics, id) && giver.Len()-taker.Len() > 1 {
						t.Fatalf("%s: %s has %d and %s %d, and could have some of topic %v", what, w.members[i].ID, giver.Len(), w.members[j].ID, taker.Len(), id[:2])
					}
				}
			}
		}
	})
}

func TestRangeGivesConsecutivePartitionsAndJoinsTopicsOfOneSize(t *testing.T) {
	for _, mixed := range []bool{false, true} {
		run(t, mixed, assign.Range, func(w *world, what string, _ map[string]assign.Partitions, got []assign.Partitions) {
			oneOwnerEach(t, w, what, got)
			for i, set := range got {
				for _, topic := range set {
					if p := topic.Partitions; int(p[len(p)-1]-p[0]) != len(p)-1 {
						t.Errorf("%s: %s has %v", what, w.members[i].ID, p)
					}
				}
				if mixed {
					continue
				}
				for _, a := range w.members[i].Topics {
					for _, b := range w.members[i].Topics {
						if w.topics[a] == w.topics[b] && !slices.Equal(set.Topic(a), set.Topic(b)) {
							t.Errorf("%s: topics of %d partitions are not assigned alike", what, w.topics[a])
						}
					}
				}
			}
		})
	}
}

func TestRangePutsStaticMembersFirst(t *testing.T) {
	id := topicID(1)
	got := assign.Range([]assign.Member{
		{ID: "a", Topics: []kafka.UUID{id}}, {ID: "z", Instance: "1", Topics: []kafka.UUID{id}}, {ID: "b", Instance: "2", Topics: []kafka.UUID{id}},
	}, assign.Counts{id: 4})
	for i, want := range [][]int32{{3}, {0, 1}, {2}} {
		if !slices.Equal(got[i].Topic(id), want) {
			t.Errorf("member %d has %v, want %v", i, got[i].Topic(id), want)
		}
	}
}

func TestSimpleSharesEvenlyAndLeavesNobodyIdle(t *testing.T) {
	for _, mixed := range []bool{false, true} {
		run(t, mixed, assign.Simple, func(w *world, what string, _ map[string]assign.Partitions, got []assign.Partitions) {
			fewest, mostShared, total := 1<<30, 0, 0
			for id, counts := range owners(w, got) {
				for part, n := range counts {
					total++
					fewest, mostShared = min(fewest, n), max(mostShared, n)
					if n == 0 {
						t.Errorf("%s: %v-%d has no member", what, id[:2], part)
					}
				}
			}
			for i, m := range w.members {
				if len(m.Topics) > 0 && got[i].Len() == 0 {
					t.Errorf("%s: %s is idle", what, m.ID)
				}
			}
			if least, most := loads(got); !mixed && (most-least > 1 || mostShared-fewest > 1 || most > 1 && mostShared > 1) {
				t.Errorf("%s: members have %d to %d, partitions %d to %d", what, least, most, fewest, mostShared)
			}
		})
	}
}

func TestNothingToAssignIsNoMistake(t *testing.T) {
	id := topicID(1)
	for name, f := range map[string]assignor{"uniform": assign.Uniform, "range": assign.Range, "simple": assign.Simple} {
		for _, members := range [][]assign.Member{nil, {{ID: "a"}}, {{ID: "a", Topics: []kafka.UUID{id}}, {ID: "b"}}} {
			for _, topics := range []assign.Counts{nil, {id: 0}} {
				for i, set := range f(members, topics) {
					if set != nil {
						t.Errorf("%s: member %d of %v has %v", name, i, members, set)
					}
				}
			}
		}
	}
}

func TestByNameKnowsTheAssignorsOfConsumerGroups(t *testing.T) {
	for name, want := range map[string]bool{assign.UniformName: true, assign.RangeName: true, assign.SimpleName: false, "": false} {
		if f, ok := assign.ByName(name); ok != want || ok != (f != nil) {
			t.Errorf("ByName(%q) is %v", name, ok)
		}
	}
}
