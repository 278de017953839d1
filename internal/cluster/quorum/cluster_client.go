package quorum

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Connect reaches the metadata through the peer ports of the voters; no etcd runs here, and this node never leads. voters gives addresses,
// HOST:PORT, at which there may be one, the likeliest first; it is called again and again and must be quick. Once one has answered
// the client knows all voters. It keeps to one of them while that answers and knows a leader, so that nobody waits for a voter that
// has frozen, and takes the next one otherwise.
func Connect(ctx context.Context, o ClusterOptions, voters func() []string) (*Cluster, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	first := pick(voters(), 0)
	if first == "" {
		return nil, errors.New("connect to the metadata: no voter is known")
	}
	client, err := dialVoters(o, first)
	if err != nil {
		return nil, err
	}
	c := newCluster(o)
	c.client = client
	c.wg.Go(c.read)
	c.wg.Go(func() { c.watchVoters(voters, first) })
	return c, nil
}

// pick is the n-th address; "" when there is none.
func pick(addrs []string, n int) string {
	if len(addrs) == 0 {
		return ""
	}
	return addrs[n%len(addrs)]
}

// dialVoters makes a client of one peer port. It connects when it is used.
func dialVoters(o ClusterOptions, addr string) (*clientv3.Client, error) {
	connect := grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
		MinConnectTimeout: time.Second,
	}
	return clientv3.New(clientv3.Config{
		Endpoints:            []string{"http://" + addr},
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 2 * time.Second,
		MaxCallSendMsgSize:   maxRequest,
		Logger:               zap.New(newBridge(o.Logger)),
		DialOptions: []grpc.DialOption{
			grpc.WithConnectParams(connect),
			grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return o.Dial(ctx, addr) }),
		},
	})
}

// voter is the one that a client uses.
type voter struct {
	addr string
	// orphaned is how often in a row it knew no leader. During an election nobody does, so once is no reason to leave it.
	orphaned int
	failed   int // how often in a row a voter was of no use; who is slow itself must not change for ever
	asked    int
	names    map[uint64]kafka.BrokerID // of members, as far as known
	all      []string                  // addresses of the voters, as far as known
}

const (
	maxDoublings = 3  // of the time that a voter is given to answer
	maxOrphaned  = 3  // how often a voter may know no leader before another one is taken
	listInterval = 30 // how many questions lie between two for the list of all voters
)

// watchVoters is the goroutine that asks the voter in use who leads, every election time-out and whenever a commit of another term was
// seen, and changes to another voter when it is of no use.
func (c *Cluster) watchVoters(voters func() []string, first string) {
	tick := time.NewTicker(c.opts.election())
	defer tick.Stop()
	v := &voter{addr: first}
	spread := false
	for {
		now, ok := c.askLeader(v)
		for tries := len(v.all) + len(voters()); !ok && tries > 0 && c.ctx.Err() == nil; tries-- {
			if !c.changeVoter(v, v.next(voters())) {
				break
			}
			now, ok = c.askLeader(v)
		}
		c.lead(now)
		// Everybody begins with the same one; later on each has its own.
		if ok && !spread && len(v.all) > 0 {
			spread = true
			c.changeVoter(v, pick(v.all, int(max(c.opts.Node, 0))))
		}
		select {
		case <-c.ctx.Done():
			c.tellWatchers()
			return
		case <-tick.C:
		case <-c.poke:
		}
	}
}

// askLeader asks the voter in use. ok is false when it is of no use.
func (c *Cluster) askLeader(v *voter) (now Leadership, ok bool) {
	now = Leadership{Controller: kafka.NoBroker, Term: c.Leadership().Term}
	ctx, cancel := context.WithTimeout(c.ctx, c.tryTimeout()<<min(v.failed, maxDoublings))
	defer cancel()
	defer func() {
		if v.failed++; ok {
			v.failed = 0
		}
	}()
	status, err := pb.NewMaintenanceClient(c.client.ActiveConnection()).Status(ctx, &pb.StatusRequest{})
	if err != nil || status.IsLearner {
		return now, false
	}
	if status.Leader == 0 {
		v.orphaned++
		return now, v.orphaned < maxOrphaned
	}
	v.orphaned = 0
	now.Term = Term(status.RaftTerm)
	v.asked++
	if _, known := v.names[status.Leader]; !known || v.asked%listInterval == 0 {
		list, err := c.client.MemberList(ctx)
		if err != nil {
			return now, false
		}
		v.learn(list.Members)
	}
	if id, known := v.names[status.Leader]; known {
		now.Controller = id
	}
	return now, true
}

// learn notes who the voters are and where.
func (v *voter) learn(members []*pb.Member) {
	v.names, v.all = map[uint64]kafka.BrokerID{}, nil
	slices.SortFunc(members, func(a, b *pb.Member) int { return cmp.Compare(memberNode(a.Name), memberNode(b.Name)) })
	for _, m := range members {
		id := memberNode(m.Name)
		if id == kafka.NoBroker || len(m.PeerURLs) == 0 {
			continue
		}
		v.names[m.ID] = id
		if u, err := url.Parse(m.PeerURLs[0]); err == nil && !m.IsLearner {
			v.all = append(v.all, u.Host)
		}
	}
}

// next is the address after the one in use: of a voter, or when all were tried of somebody who may be one.
func (v *voter) next(guesses []string) string {
	list := slices.Clone(v.all)
	for _, g := range guesses {
		if !slices.Contains(list, g) {
			list = append(list, g)
		}
	}
	return pick(list, slices.Index(list, v.addr)+1)
}

// changeVoter goes over to another address; false if it is the one in use, or none. What is being loaded or watched is begun anew.
func (c *Cluster) changeVoter(v *voter, next string) bool {
	if next == "" || next == v.addr {
		return false
	}
	v.addr, v.orphaned = next, 0
	c.client.SetEndpoints("http://" + next)
	c.mu.Lock()
	again := c.rewatch
	c.mu.Unlock()
	if again != nil {
		again()
	}
	return true
}
