package txn

// State is where a transactional id stands. The numbers are those of Kafka's log.
type State int8

// The states. A transactional id is Empty until its producer adds the first partition, and Complete… until it adds one again.
const (
	Empty             State = 0
	Ongoing           State = 1
	PrepareCommit     State = 2 // decided, the markers are on their way
	PrepareAbort      State = 3
	CompleteCommit    State = 4 // every marker is written
	CompleteAbort     State = 5
	Dead              State = 6 // expired; never in the log, a tombstone stands for it
	PrepareEpochFence State = 7 // between Ongoing and PrepareAbort when the producer is fenced; never in the log
)

// states are the names that ListTransactions and DescribeTransactions use, and the states that may come before (TXN-1).
var states = [...]struct {
	name          string
	validPrevious uint8 // bit s: state s
}{
	Empty:             {"Empty", bits(Empty, CompleteCommit, CompleteAbort)},
	Ongoing:           {"Ongoing", bits(Ongoing, Empty, CompleteCommit, CompleteAbort)},
	PrepareCommit:     {"PrepareCommit", bits(Ongoing)},
	PrepareAbort:      {"PrepareAbort", bits(Ongoing, PrepareEpochFence, Empty, CompleteCommit, CompleteAbort)},
	CompleteCommit:    {"CompleteCommit", bits(PrepareCommit)},
	CompleteAbort:     {"CompleteAbort", bits(PrepareAbort)},
	Dead:              {"Dead", bits(Empty, CompleteCommit, CompleteAbort)},
	PrepareEpochFence: {"PrepareEpochFence", bits(Ongoing)},
}

func bits(of ...State) (set uint8) {
	for _, s := range of {
		set |= 1 << s
	}
	return set
}

func (s State) isKnown() bool { return s >= 0 && int(s) < len(states) }

// String is Kafka's name of the state.
func (s State) String() string {
	if !s.isKnown() {
		return "Unknown"
	}
	return states[s].name
}

// mayFollow reports whether the graph has an edge from before to s.
func (s State) mayFollow(before State) bool { return states[s].validPrevious&(1<<before) != 0 }

// isPrepared: the decision stands, markers are missing.
func (s State) isPrepared() bool { return s == PrepareCommit || s == PrepareAbort }

// isIdle: nothing is open, so that a new transaction may start and the id may expire.
func (s State) isIdle() bool { return s == Empty || s == CompleteCommit || s == CompleteAbort }

// stateNamed finds a state by Kafka's name, to the letter.
func stateNamed(name string) (State, bool) {
	for s := range states {
		if states[s].name == name {
			return State(s), true
		}
	}
	return 0, false
}
