package tasks

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rafka-io/rafka/internal/seed"
)

func seedOf(t *testing.T) uint64 {
	seed := seed.Of(t)
	t.Logf("RAFKA_SEED=%d", seed)
	return seed
}

// draw makes up a group.
func draw(r *rand.Rand) (members []Member, sources []Source, opts Options) {
	for i := range 1 + r.IntN(8) {
		members = append(members, Member{ID: fmt.Sprintf("m%d", i), Process: fmt.Sprintf("p%d", r.IntN(5))})
		if r.IntN(2) == 0 {
			members[i].Tags = []Tag{{"zone", fmt.Sprintf("z%d", r.IntN(3))}}
		}
	}
	for i := range r.IntN(4) {
		sources = append(sources, Source{ID: fmt.Sprint(i), Tasks: int32(1 + r.IntN(9)), Stateful: r.IntN(2) == 0})
	}
	opts.Standbys = r.IntN(3)
	if r.IntN(3) == 0 {
		opts.RackTags = []string{"zone"}
	}
	return members, sources, opts
}

// check checks what the package promises of an assignment.
func check(t *testing.T, members []Member, sources []Source, opts Options, got []Assignment) {
	t.Helper()
	active, standby := map[Task]int{}, map[Task]int{}
	local := map[string]map[Task]bool{}
	least, most := 1<<30, 0
	for i, a := range got {
		p := members[i].Process
		if local[p] == nil {
			local[p] = map[Task]bool{}
		}
		least, most = min(least, a.Active.Len()), max(most, a.Active.Len())
		for _, set := range []Set{a.Active, a.Standby, a.Warmup} {
			for task := range set.All() {
				if local[p][task] {
					t.Fatalf("process %s has %v twice", p, task) // GRP-1
				}
				local[p][task] = true
			}
		}
		for task := range a.Active.All() {
			active[task]++
		}
		for task := range a.Standby.All() {
			standby[task]++
		}
	}
	if most > least+1 {
		t.Fatalf("one member runs %d tasks, another %d", least, most)
	}
	total := 0
	for _, s := range sources {
		for p := range s.Tasks {
			total++
			task, copies := Task{s.ID, p}, min(opts.Standbys, len(local)-1)
			if !s.Stateful {
				copies = 0
			}
			if active[task] != 1 || standby[task] != copies {
				t.Fatalf("%v runs at %d members and has %d copies of %d", task, active[task], standby[task], copies)
			}
		}
	}
	if len(active) != total || len(standby) > total {
		t.Fatal("tasks are assigned that do not exist")
	}
}

// GRP-1, GRP-5
func TestAssignKeepsItsPromisesWhileGroupsChange(t *testing.T) {
	seed := seedOf(t)
	for i := range 400 {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		members, sources, opts := draw(r)
		for round := range 6 {
			got := Assign(members, sources, opts)
			check(t, members, sources, opts, got)
			// GRP-5: the order in which they come does not matter.
			order := r.Perm(len(members))
			shuffled := make([]Member, len(members))
			for to, from := range order {
				shuffled[to] = members[from]
			}
			for to, a := range Assign(shuffled, sources, opts) {
				if !a.Equal(got[order[to]]) {
					t.Fatalf("%d: another order of members gives another assignment", i)
				}
			}
			// No active task leaves a member that may keep it.
			floor := 0
			for _, s := range sources {
				floor += int(s.Tasks)
			}
			floor /= len(members)
			for k := range got {
				lost := members[k].Had.Active.Filter(func(task Task) bool {
					return slices.ContainsFunc(sources, func(s Source) bool { return s.ID == task.Subtopology && task.Partition < s.Tasks })
				}).Minus(got[k].Active)
				if len(lost) > 0 && got[k].Active.Minus(members[k].Had.Active).Len() > 0 {
					t.Fatalf("%d: %s loses %v and gets others", i, members[k].ID, lost)
				}
				if len(lost) > 0 && got[k].Active.Len() < floor {
					t.Fatalf("%d: %s loses %v and has fewer than %d", i, members[k].ID, lost, floor)
				}
				members[k].Had = got[k]
			}
			again := Assign(members, sources, opts)
			for k := range again {
				if !again[k].Active.Equal(got[k].Active) {
					t.Fatalf("%d: without a change %s has %v, then %v", i, members[k].ID, got[k].Active, again[k].Active)
				}
			}
			switch r.IntN(4) {
			case 0:
				if len(members) > 1 {
					members = slices.Delete(members, 0, 1)
				}
			case 1:
				members = append(members, Member{ID: fmt.Sprintf("n%d-%d", r.IntN(1000), round), Process: fmt.Sprintf("p%d", r.IntN(5))})
			case 2:
				if len(sources) > 0 {
					sources[0].Tasks = int32(1 + r.IntN(9))
				}
			default:
				opts.Standbys = r.IntN(3)
			}
		}
	}
}

func set(id string, partitions ...int32) Set { return Of([]Subtopology{{id, partitions}}) }

// Who lost its process finds its state with the standby.
func TestAStandbyTakesOver(t *testing.T) {
	sources := []Source{{"0", 2, true}}
	members := []Member{
		{ID: "b", Process: "q", Had: Assignment{Active: set("0", 1), Standby: set("0", 0)}},
		{ID: "c", Process: "r"},
	}
	got := Assign(members, sources, Options{Standbys: 1})
	if !got[0].Active.Equal(set("0", 1)) || !got[1].Active.Equal(set("0", 0)) {
		t.Errorf("a member that runs its share takes over more: %v", got)
	}
	members = append(members, Member{ID: "a", Process: "p", Had: Assignment{Standby: set("0", 0)}})
	if got := Assign(members, sources, Options{Standbys: 1}); !got[2].Active.Equal(set("0", 0)) {
		t.Errorf("the standby does not take over: %v", got)
	}
}

func TestStandbysGoToOtherZones(t *testing.T) {
	members := []Member{
		{ID: "a", Process: "p", Tags: []Tag{{"zone", "x"}}}, {ID: "b", Process: "q", Tags: []Tag{{"zone", "x"}}},
		{ID: "c", Process: "r", Tags: []Tag{{"zone", "y"}}},
	}
	got := Assign(members, []Source{{"0", 3, true}}, Options{Standbys: 1, RackTags: []string{"zone"}})
	for i := range 2 {
		if got[i].Standby.Meets(got[0].Active.Or(got[1].Active)) {
			t.Errorf("%s has a standby of a task of its own zone: %v", members[i].ID, got)
		}
	}
}

func TestRefine(t *testing.T) {
	stateful := func(id string) bool { return id == "1" }
	caught := func(tasks ...Task) func(Task) bool { return func(t Task) bool { return slices.Contains(tasks, t) } }
	old := Progress{ID: "a", Process: "p", Runs: set("1", 0, 1, 2).Or(set("0", 0)), Target: Assignment{Active: set("1", 0), Standby: set("1", 1)}}
	fresh := Progress{ID: "b", Process: "q", Reports: true, Target: Assignment{Active: set("1", 1, 2).Or(set("0", 0))}, CaughtUp: caught()}
	for _, c := range []struct {
		name    string
		warmups int
		change  func(a, b *Progress)
		want    [2]Assignment
	}{
		{"no warm-ups", 0, nil, [2]Assignment{old.Target, fresh.Target}},
		{"one at a time", 1, nil, [2]Assignment{{Active: set("1", 0, 1, 2)}, {Active: set("0", 0), Warmup: set("1", 1)}}},
		{"two", 2, nil, [2]Assignment{{Active: set("1", 0, 1, 2)}, {Active: set("0", 0), Warmup: set("1", 1, 2)}}},
		{"one has caught up", 1, func(_, b *Progress) { b.CaughtUp = caught(Task{"1", 1}) }, [2]Assignment{{Active: set("1", 0, 2), Standby: set("1", 1)}, {Active: set("0", 0).Or(set("1", 1)), Warmup: set("1", 2)}}},
		{"nobody tells", 2, func(_, b *Progress) { b.Reports = false }, [2]Assignment{old.Target, fresh.Target}},
		{"the old owner is gone", 2, func(a, _ *Progress) { a.Runs = nil }, [2]Assignment{old.Target, fresh.Target}},
		{"the same process", 2, func(_, b *Progress) { b.Process = "p" }, [2]Assignment{old.Target, fresh.Target}},
	} {
		a, b := old, fresh
		if c.change != nil {
			c.change(&a, &b)
		}
		for i, got := range Refine([]Progress{a, b}, stateful, c.warmups) {
			if !got.Equal(c.want[i]) {
				t.Errorf("%s: member %d has %+v, want %+v", c.name, i, got, c.want[i])
			}
		}
	}
}

func TestSets(t *testing.T) {
	a := Of([]Subtopology{{"1", []int32{3, 1}}, {"0", nil}, {"1", []int32{2, 1}}})
	b := set("1", 2, 4).Or(set("2", 0))
	for _, c := range []struct{ got, want Set }{
		{a, set("1", 1, 2, 3)}, {a.Minus(b), set("1", 1, 3)}, {a.And(b), set("1", 2)}, {a.Minus(a), nil}, {a.Or(b), set("1", 1, 2, 3, 4).Or(set("2", 0))},
	} {
		if !c.got.Equal(c.want) {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
	if !a.Meets(b) || a.Within(b) || !set("1", 2).Within(a) || a.Len() != 3 || !b.Has(Task{"2", 0}) || b.Has(Task{"0", 0}) {
		t.Error("sets are compared wrong")
	}
}

func BenchmarkAssign(b *testing.B) {
	var members []Member
	for i := range 200 {
		members = append(members, Member{ID: fmt.Sprintf("m%03d", i), Process: fmt.Sprintf("p%02d", i/2)})
	}
	sources := []Source{{"0", 5000, true}, {"1", 5000, true}}
	for i, a := range Assign(members, sources, Options{Standbys: 1}) {
		members[i].Had = a
	}
	members = members[:198]
	for b.Loop() {
		Assign(members, sources, Options{Standbys: 1})
	}
}
