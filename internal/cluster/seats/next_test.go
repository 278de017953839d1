package seats

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
)

// bears is how many more voters may die before a majority is lost; less than 0: it is lost.
func bears(list []Voter) int {
	n, alive := 0, 0
	for _, v := range list {
		if v.Learner {
			continue
		}
		if n++; v.Dead == 0 {
			alive++
		}
	}
	return alive - majority(n)
}

// SEA-1, SEA-2, SEA-3: clusters whose brokers die and come back at random. No step lets the voters bear fewer failures, the number of voters
// is kept, and when the living suffice all seats are taken by living brokers in the end.
func TestStepsNeverMakeTheVotersWeaker(t *testing.T) {
	dice := rand.New(rand.NewPCG(seed.Of(t), 1))
	const replace = 10 * time.Second
	for range 2000 {
		want := 1 + 2*dice.IntN(3)
		brokers := 1 + dice.IntN(7)
		s := State{Want: want, Replace: replace}
		for id := range brokers {
			s.Brokers = append(s.Brokers, Broker{ID: kafka.BrokerID(id), Lives: true, May: dice.IntN(8) > 0})
		}
		var next uint64
		for id := range min(want, brokers) {
			next++
			s.Voters = append(s.Voters, Voter{Node: kafka.BrokerID(id), ID: next})
		}
		for step := range 120 {
			if step < 60 && dice.IntN(4) == 0 {
				b := &s.Brokers[dice.IntN(brokers)]
				b.Lives = !b.Lives || bears(s.Voters) <= 0
			}
			for i := range s.Voters {
				v := &s.Voters[i]
				if s.Brokers[v.Node].Lives {
					v.Dead = 0
				} else {
					v.Dead += 3 * time.Second
				}
			}
			before, got := bears(s.Voters), Next(s)
			voters := len(s.Voters)
			switch got.Kind {
			case Add:
				b := s.Brokers[got.Node]
				if !b.Lives || !b.May || len(s.Voters) >= want {
					t.Fatalf("%+v is given a vote of %d wanted: %+v", b, want, s)
				}
				for _, v := range s.Voters {
					if v.Learner || v.Dead > 0 || v.Node == got.Node {
						t.Fatalf("somebody is added: %+v", s)
					}
				}
				next++
				s.Voters = append(s.Voters, Voter{Node: got.Node, ID: next, Learner: true})
			case Seat:
				for i := range s.Voters {
					if v := &s.Voters[i]; v.ID == got.ID {
						if !v.Learner || v.Dead > 0 {
							t.Fatalf("%+v is promoted", *v)
						}
						v.Learner = dice.IntN(3) > 0 // it takes a while
					}
				}
			case Remove:
				kept := s.Voters[:0:0]
				for _, v := range s.Voters {
					if v.ID != got.ID {
						kept = append(kept, v)
					} else if !v.Learner && v.Dead < replace {
						t.Fatalf("%+v loses its vote: %+v", v, s)
					}
				}
				if s.Voters = kept; len(kept) != voters-1 {
					t.Fatalf("%+v removes nobody", got)
				}
			}
			if after := bears(s.Voters); after < before {
				t.Fatalf("%+v lets the voters bear %d failures, it was %d: %+v", got, after, before, s)
			}
		}
		for range 60 { // nothing changes any more
			for i := range s.Voters {
				if v := &s.Voters[i]; !s.Brokers[v.Node].Lives {
					v.Dead += 3 * time.Second
				}
			}
			switch got := Next(s); got.Kind {
			case Add:
				s.Voters = append(s.Voters, Voter{Node: got.Node, ID: 1000 + uint64(got.Node), Learner: true})
			case Seat, Remove:
				kept := s.Voters[:0:0]
				for _, v := range s.Voters {
					if v.ID == got.ID && got.Kind == Remove {
						continue
					}
					v.Learner = v.Learner && v.ID != got.ID
					kept = append(kept, v)
				}
				s.Voters = kept
			}
		}
		if got := Next(s); got.Kind != Nothing {
			t.Fatalf("it never rests: %+v in %+v", got, s)
		}
		spare := s.candidates()
		for _, v := range s.Voters {
			if v.Dead > 0 && len(spare) > 0 && bears(s.Voters) >= 0 {
				t.Fatalf("a dead voter stays although %v could vote: %+v", spare, s)
			}
		}
	}
}

func TestNextBySituation(t *testing.T) {
	live := func(id kafka.BrokerID) Voter { return Voter{Node: id, ID: uint64(id)} }
	dead := func(id kafka.BrokerID, d time.Duration) Voter { return Voter{Node: id, ID: uint64(id), Dead: d} }
	learner := func(id kafka.BrokerID, d time.Duration) Voter {
		return Voter{Node: id, ID: uint64(id), Dead: d, Learner: true}
	}
	broker := func(id kafka.BrokerID) Broker { return Broker{ID: id, Lives: true, May: true} }
	const long, short = time.Hour, time.Second
	for what, c := range map[string]struct {
		voters  []Voter
		spare   []Broker
		want    int
		kind    Kind
		removed kafka.BrokerID
	}{
		"all well":                    {[]Voter{live(1), live(2), live(3)}, []Broker{broker(4)}, 3, Nothing, 0},
		"dead for a moment":           {[]Voter{live(1), live(2), dead(3, short)}, []Broker{broker(4)}, 3, Nothing, 0},
		"dead and replaced":           {[]Voter{live(1), live(2), dead(3, long)}, []Broker{broker(4)}, 3, Remove, 3},
		"dead and nobody else":        {[]Voter{live(1), live(2), dead(3, long)}, nil, 3, Nothing, 0},
		"two of five, nobody else":    {[]Voter{live(1), live(2), live(3), dead(4, short), dead(5, long)}, nil, 5, Remove, 5},
		"one of five, nobody else":    {[]Voter{live(1), live(2), live(3), live(4), dead(5, long)}, nil, 5, Nothing, 0},
		"no majority":                 {[]Voter{live(1), dead(2, long), dead(3, long)}, []Broker{broker(4)}, 3, Nothing, 0},
		"an empty seat":               {[]Voter{live(1), live(2)}, []Broker{broker(4)}, 3, Add, 4},
		"an empty seat, one is dead":  {[]Voter{live(1), dead(2, short)}, []Broker{broker(4)}, 3, Nothing, 0},
		"one voter, one more":         {[]Voter{live(1)}, []Broker{broker(4)}, 3, Nothing, 0},
		"one voter, two more":         {[]Voter{live(1)}, []Broker{broker(4), broker(5)}, 3, Add, 4},
		"barred":                      {[]Voter{live(1), live(2)}, []Broker{{ID: 4, Lives: true}}, 3, Nothing, 0},
		"a learner":                   {[]Voter{live(1), live(2), learner(4, 0)}, []Broker{broker(5)}, 3, Seat, 4},
		"a learner that died":         {[]Voter{live(1), live(2), learner(4, long)}, []Broker{broker(5)}, 3, Remove, 4},
		"a learner that is away":      {[]Voter{live(1), live(2), learner(4, short)}, []Broker{broker(5)}, 3, Nothing, 0},
		"more than wanted, one died":  {[]Voter{live(1), live(2), live(3), dead(4, long)}, nil, 3, Remove, 4},
		"more than wanted, all alive": {[]Voter{live(1), live(2), live(3), live(4)}, []Broker{broker(5)}, 3, Remove, 4},
		"one too many, who leads":     {[]Voter{live(1), live(2), live(3), {Node: 4, ID: 4, Leads: true}}, nil, 3, Remove, 3},
		"a learner too many":          {[]Voter{live(1), live(2), live(3), learner(4, 0)}, nil, 3, Remove, 4},
		"a learner for a dead voter":  {[]Voter{live(1), live(2), dead(3, long), learner(4, 0)}, nil, 3, Remove, 3},
		"a learner for one just dead": {[]Voter{live(1), live(2), dead(3, short), learner(4, 0)}, nil, 3, Nothing, 0},
	} {
		got := Next(State{Voters: c.voters, Brokers: c.spare, Want: c.want, Replace: time.Minute})
		if got.Kind != c.kind || c.kind != Nothing && got.Node != c.removed {
			t.Errorf("%s: %+v", what, got)
		}
	}
}
