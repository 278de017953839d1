package quorum

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.uber.org/zap"

	"github.com/rafka-io/rafka/internal/kafka"
)

const (
	externalScheme = "etcd://"
	// electionTTL is how long a controller that dies is still taken for one. Three seconds are the least that etcd's defaults bear well.
	electionTTL = 3 * time.Second
	// electionTick is how often a node looks who decides.
	electionTick = 500 * time.Millisecond
	// An etcd of others takes no more than 128 operations and 1.5 MiB in a transaction, unless it is told to.
	externalGroup = 100
	externalBytes = 1 << 20
)

// ErrExternal: the metadata is in an etcd that others run, so there are no voters here to change.
var ErrExternal = errors.New("the metadata is in an etcd of its own, which has its own members")

// ParseExternal reads etcd://HOST:PORT,HOST:PORT/PREFIX.
func ParseExternal(s string) (endpoints []string, prefix string, err error) {
	rest, ok := strings.CutPrefix(s, externalScheme)
	if !ok {
		return nil, "", fmt.Errorf("%q does not begin with %s", s, externalScheme)
	}
	hosts, prefix, _ := strings.Cut(rest, "/")
	for host := range strings.SplitSeq(hosts, ",") {
		name, port, err := net.SplitHostPort(host)
		if n, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil || n == 0 || name == "" {
			return nil, "", fmt.Errorf("%q is no HOST:PORT; want %sHOST:PORT,HOST:PORT/PREFIX", host, externalScheme)
		}
		endpoints = append(endpoints, host)
	}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return endpoints, prefix, nil
}

// External reaches the metadata below a prefix in an etcd that others run, over connections that are not encrypted. It reads at once and
// decides nothing before Campaign. Dir, PeerURL, TickMs and Dial of the options are not used.
func External(ctx context.Context, o ClusterOptions, endpoints []string, prefix string) (*Cluster, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	urls := make([]string, len(endpoints))
	for i, e := range endpoints {
		urls[i] = "http://" + e
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: urls, DialKeepAliveTime: 5 * time.Second, DialKeepAliveTimeout: 2 * time.Second,
		MaxCallSendMsgSize: maxRequest, Logger: zap.New(newBridge(o.Logger)),
	})
	if err != nil {
		return nil, fmt.Errorf("connect to the etcd at %s: %w", strings.Join(endpoints, ","), err)
	}
	if prefix != "" {
		client.KV, client.Watcher, client.Lease = namespace.NewKV(client.KV, prefix), namespace.NewWatcher(client.Watcher, prefix), namespace.NewLease(client.Lease, prefix)
	}
	c := newCluster(o)
	c.client, c.external = client, true
	c.wg.Go(c.read)
	return c, nil
}

// ClusterID is the id of the cluster whose metadata this is; "" if there is none and create is "". Else that is written down as its id, once.
func (c *Cluster) ClusterID(ctx context.Context, create string) (id string, err error) {
	err = c.ask(ctx, func(ctx context.Context) error {
		if create != "" {
			_, err := c.client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(keyCluster), "=", 0)).Then(clientv3.OpPut(keyCluster, create)).Commit()
			if err != nil {
				return err
			}
		}
		resp, err := c.client.Get(ctx, keyCluster)
		if err == nil && len(resp.Kvs) > 0 {
			id = string(resp.Kvs[0].Value)
		}
		return err
	})
	return id, err
}

// IsExternal reports whether others run the etcd.
func (c *Cluster) IsExternal() bool { return c.external }

// Campaign has this node, whose id is known now, stand for controller until the store ends. It is called once, of an External.
func (c *Cluster) Campaign(node kafka.BrokerID) {
	c.opts.Node = node
	c.wg.Go(c.commitAll)
	c.wg.Go(c.compactAll)
	c.wg.Go(c.campaign)
}

// candidacy is what a node holds that stands for controller. The lease keeps its key; etcd drops the key when it ends.
type candidacy struct {
	lease clientv3.LeaseID // 0: none
	kept  time.Time        // when it was last prolonged, counted from the asking
}

// campaign is the goroutine of the election. Who has put the key, which it can only where there is none, is the controller, and the revision at
// which it did is its term: it rises with each. A controller that does not know yet that its lease has ended can commit nothing once its
// successor has claimed the term, because every commit compares the head of the history (QUO-3).
func (c *Cluster) campaign() {
	tick := time.NewTicker(electionTick)
	defer tick.Stop()
	var own candidacy
	for {
		now, err := c.stand(&own)
		if err != nil && c.ctx.Err() == nil {
			c.opts.Logger.Debug("who decides is not known", "error", err)
			now = c.Leadership()
			if now.Here && time.Since(own.kept) < electionTTL {
				err = nil // the key is certainly still there
			} else {
				now = Leadership{Controller: kafka.NoBroker, Term: now.Term}
			}
		}
		c.setLeadership(now)
		select {
		case <-c.ctx.Done():
			c.tellWatchers()
			c.retire(own)
			return
		case <-tick.C:
		case <-c.poke:
		}
	}
}

// stand looks who decides, and tries to be it when nobody is.
func (c *Cluster) stand(own *candidacy) (Leadership, error) {
	none := Leadership{Controller: kafka.NoBroker, Term: c.Leadership().Term}
	ctx, cancel := context.WithTimeout(c.ctx, electionTTL/3)
	defer cancel()
	if err := c.keepLease(ctx, own); err != nil {
		return none, err
	}
	var now Leadership
	err := c.once(ctx, func(ctx context.Context) error {
		key := clientv3.Compare(clientv3.CreateRevision(keyController), "=", 0)
		resp, err := c.client.Get(ctx, keyController)
		if err == nil && len(resp.Kvs) == 0 {
			_, err = c.client.Txn(ctx).If(key).Then(clientv3.OpPut(keyController, strconv.Itoa(int(c.opts.Node)), clientv3.WithLease(own.lease))).Commit()
			if err == nil {
				resp, err = c.client.Get(ctx, keyController)
			}
		}
		if err != nil {
			return err
		}
		if len(resp.Kvs) == 0 {
			now = none
			return nil
		}
		kv := resp.Kvs[0]
		id, err := parseID(string(kv.Value))
		now = Leadership{Controller: id, Term: Term(kv.CreateRevision), Here: clientv3.LeaseID(kv.Lease) == own.lease}
		if err == nil && id == c.opts.Node && !now.Here {
			now.Controller = kafka.NoBroker // of the process before this one: its lease ends soon
		}
		return err
	})
	if err != nil || !now.Here || now == c.Leadership() {
		return now, err
	}
	// Only with everything that was committed before.
	_, _, err = c.current(ctx)
	return now, err
}

// keepLease grants or prolongs the lease.
func (c *Cluster) keepLease(ctx context.Context, own *candidacy) error {
	asked := time.Now()
	if own.lease != 0 && asked.Sub(own.kept) < electionTTL/4 {
		return nil
	}
	return c.once(ctx, func(ctx context.Context) error {
		if own.lease != 0 {
			_, err := c.client.KeepAliveOnce(ctx, own.lease)
			if err == nil {
				own.kept = asked
			}
			if !errors.Is(err, rpctypes.ErrLeaseNotFound) {
				return err
			}
			own.lease = 0
		}
		granted, err := c.client.Grant(ctx, int64(electionTTL/time.Second))
		if err == nil {
			own.lease, own.kept = granted.ID, asked
		}
		return err
	})
}

// retire gives the key back, so that nobody waits for the end of the lease.
func (c *Cluster) retire(own candidacy) {
	if own.lease == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), electionTTL/3)
	defer cancel()
	_, _ = c.client.Revoke(ctx, own.lease) // if it fails the lease ends by itself
}

// groupLimits are how many commits share a transaction and how many bytes they have.
func (c *Cluster) groupLimits() (commits, bytes int) {
	if c.external {
		return externalGroup, externalBytes
	}
	return maxGroup, MaxBatchBytes
}
