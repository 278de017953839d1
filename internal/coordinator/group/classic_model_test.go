package group

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// player is one client of the random game: what it believes, and what it waits for.
type player struct {
	name       string
	instance   *string
	member     string
	generation int32 // 0: none
	last       *kmsg.JoinGroupResponse
	owns       string // its assignment in that generation; "": none
	join       laterJoin
	sync       laterSync
	old        []laterJoin // replaced by a later one
}

func (p *player) forget() { *p = player{name: p.name, instance: p.instance} }

// game is players of one group against the shard, and an oracle that knows only what has been answered.
type game struct {
	*world
	rng     *rand.Rand
	players []*player
	highest int32 // generation that anybody was told
}

// Random joins, syncs, heartbeats, commits, leaves, silences, restarts and failed appends. GRP-1: whoever may commit is of one generation,
// and holds what its leader assigned. GRP-2: generations rise. GRP-3: nobody of an older one may commit. GRP-6: what was answered is in the log.
func TestRandomGroupsKeepTheirPromises(t *testing.T) {
	seed := seedOf(t)
	for round := range 60 {
		g := &game{world: newWorld(t), rng: rand.New(rand.NewPCG(seed, uint64(round)))}
		for i := range 5 {
			p := &player{name: fmt.Sprint("p", i)}
			if i >= 3 {
				p.instance = kmsg.StringPtr(fmt.Sprint("i", i))
			}
			g.players = append(g.players, p)
		}
		for step := range 400 {
			g.step()
			if t.Failed() {
				t.Fatalf("round %d, step %d; RAFKA_SEED=%d", round, step, seed)
			}
		}
	}
}

func (g *game) step() {
	g.broken = g.rng.IntN(12) == 0
	before := soft(g.Shard)
	wrote := len(g.Log)
	p := g.players[g.rng.IntN(len(g.players))]
	switch n := g.rng.IntN(100); {
	case n < 45:
		g.goOn(p)
	case n < 50:
		g.askJoin(p) // again, whatever it waits for
	case n < 55 && p.member != "":
		g.heartbeats(p)
	case n < 60 && p.member != "":
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID, m.InstanceID = p.member, p.instance
		if r := g.leave("g", m); r != nil && r.Members != nil && r.Members[0].ErrorCode == 0 {
			p.forget()
		}
	case n < 63:
		p.forget() // it dies, and comes back knowing nothing
	case n < 66:
		g.broken = false
		g.Restart()
		for _, p := range g.players {
			p.join, p.sync = nil, nil
		}
		g.highest = 0 // a generation that nobody had an assignment of is not in the log, and its number is used again
	default:
		g.broken = false
		g.Advance(time.Duration(g.rng.IntN(4000)) * time.Millisecond)
	}
	if g.broken && len(g.Log) == wrote && g.failed(before) {
		g.t.Errorf("a failed operation left\n%s\nof\n%s", soft(g.Shard), before)
	}
	g.broken = false
	g.collect()
	g.check()
}

// failed reports whether something changed though nothing was written. An operation without records may do so; one that should have been
// written may not, which is what world tells by errNoAppend to whoever asked.
func (g *game) failed(before string) bool {
	return g.lastErr != nil && soft(g.Shard) != before
}

// goOn is the next step of a client that behaves.
func (g *game) goOn(p *player) {
	switch {
	case p.join != nil || p.sync != nil:
	case p.generation == 0:
		g.askJoin(p)
	case p.owns == "":
		req := syncRequest(p.last, "g")
		req.InstanceID = p.instance
		for i := range req.GroupAssignment {
			a := &req.GroupAssignment[i]
			a.MemberAssignment = fmt.Appendf(nil, "generation %d, share %d of %d", p.generation, i, len(req.GroupAssignment))
		}
		p.sync = g.sync(req)
	default:
		g.heartbeats(p)
	}
}

func (g *game) askJoin(p *player) {
	req := joinRequest("g", p.member, []string{"range", "sticky"}[:1+g.rng.IntN(2)]...)
	req.InstanceID = p.instance
	req.Version = int16(3 + g.rng.IntN(7))
	if p.join != nil && p.member != "" { // else nobody can know that it is the same client
		p.old = append(p.old, p.join)
	}
	p.generation, p.owns, p.sync = 0, "", nil
	p.join = g.join(req)
}

func (g *game) heartbeats(p *player) {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation, req.InstanceID = "g", p.member, p.generation, p.instance
	g.react(p, g.beat(req))
}

// react is what clients do about errors.
func (g *game) react(p *player, code kafka.ErrorCode) {
	switch code {
	case kafka.None:
	case kafka.UnknownMemberID, kafka.FencedInstanceID, kafka.GroupMaxSizeReached, kafka.InconsistentGroupProtocol:
		p.forget()
	case kafka.RebalanceInProgress, kafka.IllegalGeneration, kafka.MemberIDRequired:
		p.generation, p.owns = 0, ""
	default:
		g.t.Errorf("%s is told %s", p.name, code)
	}
}

// collect takes the answers that have come.
func (g *game) collect() {
	for _, p := range g.players {
		for _, r := range p.old {
			if settled(r) {
				if a, err := r.Result(); err == nil && a.ErrorCode == 0 {
					g.t.Errorf("%s got an answer to a request that it had replaced: %+v", p.name, a)
				}
			}
		}
		if p.join != nil && settled(p.join) {
			a, err := p.join.Result()
			p.join = nil
			if err == nil {
				p.member = a.MemberID
				if a.ErrorCode == 0 {
					p.generation, p.last = a.Generation, a
				}
				g.react(p, kafka.ErrorCode(a.ErrorCode))
			}
		}
		if p.sync != nil && settled(p.sync) {
			a, err := p.sync.Result()
			p.sync = nil
			if err == nil {
				if a.ErrorCode == 0 {
					p.owns = string(a.MemberAssignment)
				}
				g.react(p, kafka.ErrorCode(a.ErrorCode))
			}
		}
	}
}

func (g *game) check() {
	c, ok := named[*classicGroup](g.Shard, "g")
	if !ok {
		return
	}
	h := c.head.Get()
	if h.generation < g.highest { // GRP-2
		g.t.Errorf("the generation fell from %d to %d", g.highest, h.generation)
	}
	g.highest = h.generation
	var owners []string
	for _, p := range g.players {
		code := kafka.CodeOf(c.checkCommit(nil, p.member, p.instance, p.generation, false))
		if p.generation == 0 || p.owns == "" || code != kafka.None {
			continue
		}
		if p.generation != h.generation { // GRP-3
			g.t.Errorf("%s of generation %d may commit in generation %d", p.name, p.generation, h.generation)
		}
		if !strings.HasPrefix(p.owns, fmt.Sprintf("generation %d,", p.generation)) {
			g.t.Errorf("%s of generation %d holds %q", p.name, p.generation, p.owns)
		}
		if slices.Contains(owners, p.owns) { // GRP-1
			g.t.Errorf("%q has two owners", p.owns)
		}
		owners = append(owners, p.owns)
	}
	// The books agree with each other.
	joining := 0
	for id, m := range c.members.All() {
		if m.join != nil {
			joining++
		}
		if m.id != id {
			g.t.Errorf("member %s stands under %s", m.id, id)
		}
	}
	if joining != h.joining {
		g.t.Errorf("%d members wait, counted %d", joining, h.joining)
	}
	if c.members.Len() == 0 && !c.in(stateEmpty, statePreparing) || c.in(stateEmpty) && c.members.Len() > 0 {
		g.t.Errorf("%d members in state %s", c.members.Len(), h.state)
	}
	if c.members.Len() > 0 {
		if _, ok := c.members.Get(h.leader); !ok {
			g.t.Errorf("the leader %q is no member", h.leader)
		}
	}
	if c.members.Len() > 0 || c.unnamed.Len() > 0 {
		if at := c.armed.Get(); (at.IsZero() || at.Before(g.Now)) && !c.allWait() {
			g.t.Errorf("no timer watches the sessions: %v at %v", at, g.Now)
		}
	}
	if c.in(stateStable, stateEmpty) { // GRP-6
		loaded := newWorld(g.t)
		loaded.Log = g.Log
		loaded.Restart()
		if got, want := hard(loaded.Shard), hard(g.Shard); got != want {
			g.t.Errorf("the log says\n%s\nthe shard\n%s", got, want)
		}
	}
}

// allWait reports whether every member waits for an answer, so that no session runs.
func (g *classicGroup) allWait() bool {
	for _, m := range g.members.All() {
		if m.isNew || m.join == nil && m.sync == nil {
			return false
		}
	}
	return g.unnamed.Len() == 0
}

// soft describes everything that must revert.
func soft(s *Shard) string {
	var b strings.Builder
	b.WriteString(hard(s))
	for _, name := range s.names() {
		if g, ok := named[*classicGroup](s, name); ok {
			fmt.Fprintf(&b, "\n%+v armed %v", g.head.Get(), g.armed.Get())
			for _, m := range g.sorted() {
				fmt.Fprintf(&b, "\n%s %v %v %v %v", m.id, m.protocols, m.isNew, m.join != nil, m.sync != nil)
			}
			fmt.Fprintf(&b, "\n%d %d %d %d", g.static.Len(), g.shared.Len(), g.unnamed.Len(), g.unsent.Len())
		}
	}
	return b.String()
}
