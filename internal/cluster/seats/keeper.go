package seats

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Store is the store of metadata as far as its members go: a *quorum.Cluster.
type Store interface {
	Leadership() quorum.Leadership
	Members(ctx context.Context) ([]quorum.VoterStatus, error)
	AddVoter(ctx context.Context, m quorum.Member) ([]quorum.Member, error)
	Promote(ctx context.Context, node kafka.BrokerID) error
	RemoveMember(ctx context.Context, id uint64) error
	Barred(ctx context.Context) (map[kafka.BrokerID]bool, error)
	ReleaseID(ctx context.Context, id kafka.BrokerID) error
}

// Options of a Keeper. All are required.
type Options struct {
	// Store is the store while it is led here; nil: it is not, or its voters are none of ours.
	Store func() Store
	Image func() *metadata.Image
	// Begin has a broker start its learner. It is called again until the learner votes.
	Begin func(ctx context.Context, node kafka.BrokerID, members []quorum.Member) error
	// URL is the peer URL of a broker.
	URL     func(*metadata.Broker) string
	Want    int
	Replace time.Duration
	Logger  *slog.Logger
}

const (
	// interval lies between two looks.
	interval = time.Second
	// stepPatience bounds a step, and what a learner may take to catch up before it is looked at anew.
	stepPatience = 30 * time.Second
	// vainSteps is how often a learner is helped before another broker is tried, and restPeriod how long it is then left alone.
	vainSteps  = 4
	restPeriod = 10 * time.Minute
)

// Keeper carries out what Next decides.
type Keeper struct {
	opts Options

	dead   map[uint64]time.Time         // members, since when
	known  map[kafka.BrokerID]bool      // brokers that were registered at the last look
	vain   map[kafka.BrokerID]int       // steps for a learner that failed
	resent map[kafka.BrokerID]time.Time // brokers that could not become voters, since when
	forget map[kafka.BrokerID]bool      // whose ids are to be released
}

// New returns a Keeper that does nothing yet.
func New(o Options) *Keeper {
	k := &Keeper{opts: o}
	k.begin()
	return k
}

// begin forgets everything: whoever leads anew counts anew.
func (k *Keeper) begin() {
	k.dead, k.known, k.vain = map[uint64]time.Time{}, nil, map[kafka.BrokerID]int{}
	k.resent, k.forget = map[kafka.BrokerID]time.Time{}, map[kafka.BrokerID]bool{}
}

// Run looks every second until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := k.Look(ctx, time.Now()); err != nil && ctx.Err() == nil {
			k.opts.Logger.Info("the voters could not be changed; it is tried again", "err", err)
		}
	}
}

// Look takes one step if one is due. Run calls it.
func (k *Keeper) Look(ctx context.Context, now time.Time) error {
	store := k.opts.Store()
	if store == nil {
		k.begin()
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stepPatience)
	defer cancel()
	img := k.opts.Image()
	k.notice(img)
	for id := range k.forget {
		if err := store.ReleaseID(ctx, id); err != nil {
			return err
		}
		delete(k.forget, id)
	}
	members, err := store.Members(ctx)
	if err != nil {
		return err
	}
	s := State{Want: k.opts.Want, Replace: k.opts.Replace}
	if s.Voters = k.voters(members, store.Leadership().Controller, img, now); !k.maybe(&s, img) {
		return nil
	}
	barred, err := store.Barred(ctx)
	if err != nil {
		return err
	}
	for _, b := range img.Brokers {
		since, resented := k.resent[b.ID]
		s.Brokers = append(s.Brokers, Broker{
			ID: b.ID, Lives: !b.Fenced && len(b.Peers) > 0,
			May: !b.Draining && !b.ShuttingDown && !barred[b.ID] && !(resented && now.Sub(since) < restPeriod),
		})
	}
	return k.take(ctx, store, Next(s), members, img, now)
}

// notice finds brokers that were forgotten since the last look: their ids may be given out again.
func (k *Keeper) notice(img *metadata.Image) {
	for id := range k.known {
		if img.Brokers[id] == nil {
			k.forget[id] = true
		}
	}
	k.known = make(map[kafka.BrokerID]bool, len(img.Brokers))
	for id := range img.Brokers {
		k.known[id] = true
		delete(k.forget, id)
	}
}

// voters is who votes, and since when they are dead.
func (k *Keeper) voters(members []quorum.VoterStatus, leader kafka.BrokerID, img *metadata.Image, now time.Time) (list []Voter) {
	dead := make(map[uint64]time.Time, len(members))
	for _, m := range members {
		v := Voter{Node: m.Node, ID: m.ID, Learner: m.Learner, Leads: m.Node == leader}
		if b := img.Brokers[m.Node]; b == nil || b.Fenced {
			since, was := k.dead[m.ID]
			if !was {
				since = now
			}
			dead[m.ID] = since
			v.Dead = max(now.Sub(since), 1)
		}
		list = append(list, v)
	}
	k.dead = dead
	return list
}

// maybe reports whether there is anything to decide, so that a cluster in which all is well is asked for nothing more.
func (k *Keeper) maybe(s *State, img *metadata.Image) bool {
	if len(s.Voters) > s.Want {
		return true
	}
	if len(s.Voters) < s.Want && len(img.Brokers) > len(s.Voters) {
		return true
	}
	for _, v := range s.Voters {
		if v.Learner || v.Dead >= s.Replace {
			return true
		}
	}
	return false
}

// take does a step.
func (k *Keeper) take(ctx context.Context, store Store, step Step, members []quorum.VoterStatus, img *metadata.Image, now time.Time) error {
	log := k.opts.Logger.With("broker", step.Node, "because", step.Why)
	switch step.Kind {
	case Remove:
		log.Warn("a voter loses its vote")
		return store.RemoveMember(ctx, step.ID)
	case Add:
		log.Info("a broker is to become a voter")
		_, err := store.AddVoter(ctx, quorum.Member{Node: step.Node, PeerURL: k.opts.URL(img.Brokers[step.Node])})
		return err
	case Seat:
		err := k.seat(ctx, store, step, members)
		if err == nil {
			log.Info("a broker votes")
			delete(k.vain, step.Node)
			return nil
		}
		if k.vain[step.Node]++; k.vain[step.Node] >= vainSteps {
			log.Warn("a broker could not become a voter; another one is looked for", "err", err)
			delete(k.vain, step.Node)
			k.resent[step.Node] = now
			return errors.Join(err, store.RemoveMember(ctx, step.ID))
		}
		return err
	}
	return nil
}

// seat has a learner start and gives it its vote.
func (k *Keeper) seat(ctx context.Context, store Store, step Step, members []quorum.VoterStatus) error {
	all := make([]quorum.Member, len(members))
	for i, m := range members {
		all[i] = m.Member
	}
	if err := k.opts.Begin(ctx, step.Node, all); err != nil {
		return err
	}
	return store.Promote(ctx, step.Node)
}
