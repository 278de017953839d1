package wires

import "time"

// Rule says what happens to packets from one host to another. The zero Rule passes everything on at once.
type Rule struct {
	Cut       bool          // nothing arrives
	Loss      float64       // the part of the packets that is lost, 0 to 1
	Duplicate float64       // the part that arrives twice
	Delay     time.Duration // on the way
	Jitter    time.Duration // at most so much is added to Delay, by chance
	Reorder   bool          // packets may overtake each other as Jitter has it; otherwise each waits for the one before it
}

// Set gives packets from one host to another a rule.
func (n *Net) Set(from, to int, r Rule) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r.Cut && !n.rules[from][to].Cut {
		n.cuts[from][to]++
	}
	n.rules[from][to] = r
}

// Worsen is Set for a pair that has no rule yet.
func (n *Net) Worsen(from, to int, r Rule) {
	n.mu.Lock()
	none := n.rules[from][to] == (Rule{})
	n.mu.Unlock()
	if none {
		n.Set(from, to, r)
	}
}

// Both gives both directions between two hosts a rule.
func (n *Net) Both(a, b int, r Rule) {
	n.Set(a, b, r)
	n.Set(b, a, r)
}

// Heal takes all rules back.
func (n *Net) Heal() {
	for from := range n.hosts {
		for to := range n.hosts {
			n.Set(from, to, Rule{})
		}
	}
}
