package digest

import (
	"cmp"
	"slices"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Replica is one replica's part in a comparison.
type Replica struct {
	Node  kafka.BrokerID
	Leads bool
	*Digest
}

// Difference is a stretch of offsets of which a replica does not hold what it should.
type Difference struct {
	From, To kafka.Offset
	Bad      []kafka.BrokerID // that hold something else than the others, or nothing valid
	Rule     Rule
	Where    string // in its files, if that is known
}

// Rule is by what a replica was found to be the bad one.
type Rule string

// The rules, the surest first.
const (
	ByChecksum Rule = "checksum" // its own checksum says so
	ByMajority Rule = "majority" // most replicas hold something else
	ByLeader   Rule = "leader"   // the leader holds something else, and there is no majority
)

// Result is what a comparison found.
type Result struct {
	Next        kafka.Offset // all below was compared; go on here
	Compared    kafka.Offset // offsets below were not compared but only verified: some replica is compacted so far
	Differences []Difference
}

// maxDifferences is how many stretches one comparison tells of; then it ends before the next one.
const maxDifferences = 1000

// Compare compares what replicas told from the same offset on, as far as all have told. A replica that is shorter than the others is compared as far as it goes:
// how far it is behind stands in its Digest. Each one alone is judged by its own checksums.
func Compare(all []Replica) Result {
	r := Result{Next: kafka.NoOffset}
	for _, x := range all {
		// Who has come to its end says nothing of what follows; it does not keep the others.
		if x.Next < x.End && (r.Next < 0 || x.Next < r.Next) {
			r.Next = x.Next
		}
		r.Compared = max(r.Compared, x.Compacted)
	}
	if r.Next < 0 {
		for _, x := range all {
			r.Next = max(r.Next, x.Next)
		}
	}
	for _, x := range all {
		for _, d := range x.Damage {
			if d.From < r.Next {
				r.Differences = append(r.Differences, Difference{From: d.From, To: d.To, Bad: []kafka.BrokerID{x.Node}, Rule: ByChecksum, Where: d.Where})
			}
		}
	}
	r.entries(all)
	slices.SortStableFunc(r.Differences, func(a, b Difference) int { return cmp.Compare(a.From, b.From) })
	if len(r.Differences) > maxDifferences {
		r.Next = r.Differences[maxDifferences].From
		r.Differences = r.Differences[:maxDifferences]
	}
	return r
}

// entries goes through the batches of all replicas side by side.
func (r *Result) entries(all []Replica) {
	at := make([]int, len(all))
	for {
		// The smallest base that any has comes next.
		base := kafka.NoOffset
		for i, x := range all {
			for at[i] < len(x.Entries) && x.Entries[at[i]].Base < r.Compared {
				at[i]++
			}
			if at[i] < len(x.Entries) && (base < 0 || x.Entries[at[i]].Base < base) {
				base = x.Entries[at[i]].Base
			}
		}
		if base < 0 || base >= r.Next {
			return
		}
		to := base + 1
		votes := make([]vote, 0, len(all))
		for i, x := range all {
			v := vote{node: x.Node, leads: x.Leads}
			if at[i] < len(x.Entries) && x.Entries[at[i]].Base == base {
				v.entry = x.Entries[at[i]]
				to = max(to, v.entry.Next)
				at[i]++
			} else if base < x.Start || base >= x.Next || x.damagedAt(base) {
				continue // it has deleted this, is not as far, or has told of damage here
			}
			votes = append(votes, v)
		}
		r.judge(base, to, votes)
	}
}

// vote is what one replica holds at an offset; an entry without offsets is nothing.
type vote struct {
	node  kafka.BrokerID
	leads bool
	entry Entry
}

func (d *Digest) damagedAt(at kafka.Offset) bool {
	return slices.ContainsFunc(d.Damage, func(x Damage) bool { return x.From <= at && at < x.To })
}

// judge says who is bad if replicas hold different things.
func (r *Result) judge(base, to kafka.Offset, votes []vote) {
	counts := map[Entry]int{}
	for _, v := range votes {
		counts[v.entry]++
	}
	if len(counts) < 2 {
		return
	}
	var right Entry
	rule := ByLeader
	for e, n := range counts {
		if 2*n > len(votes) {
			right, rule = e, ByMajority
		}
	}
	if rule == ByLeader {
		i := slices.IndexFunc(votes, func(v vote) bool { return v.leads })
		right = votes[max(i, 0)].entry
	}
	d := Difference{From: base, To: to, Rule: rule}
	for _, v := range votes {
		if v.entry != right {
			d.Bad = append(d.Bad, v.node)
		}
	}
	// Neighbours of one kind are one stretch.
	if n := len(r.Differences); n > 0 {
		if last := &r.Differences[n-1]; last.To == d.From && last.Rule == d.Rule && slices.Equal(last.Bad, d.Bad) {
			last.To = d.To
			return
		}
	}
	r.Differences = append(r.Differences, d)
}
