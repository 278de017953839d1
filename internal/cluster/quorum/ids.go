package quorum

import (
	"context"
	"fmt"
	"strconv"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/rafka-io/rafka/internal/kafka"
)

// AssignID gives a data directory, which its incarnation names, the broker id that it wants, or for NoBroker one that nobody has. No id
// ever has two owners, and a directory that asks again gets the same one. Ids of registered brokers are not handed out as "any". It
// may be called on every node, also again after an error. Errors: ErrIDTaken, also when the directory has another id than it wants.
func (c *Cluster) AssignID(ctx context.Context, incarnation kafka.UUID, want kafka.BrokerID) (kafka.BrokerID, error) {
	if err := c.requireImported(ctx); err != nil {
		return kafka.NoBroker, err
	}
	var got kafka.BrokerID
	err := c.ask(ctx, func(ctx context.Context) (err error) {
		for {
			var done bool
			if got, done, err = c.tryID(ctx, incarnation, want); done || err != nil {
				return err
			}
		}
	})
	if err != nil {
		return kafka.NoBroker, fmt.Errorf("assign a broker id: %w", err)
	}
	return got, nil
}

// tryID is one try; done is false when somebody else was faster.
func (c *Cluster) tryID(ctx context.Context, dir kafka.UUID, want kafka.BrokerID) (id kafka.BrokerID, done bool, err error) {
	dirKey := keyDirs + dir.String()
	resp, err := c.client.Txn(ctx).Then(clientv3.OpGet(dirKey), clientv3.OpGet(keyIDs, clientv3.WithPrefix())).Commit()
	if err != nil {
		return 0, false, err
	}
	if own := resp.Responses[0].GetResponseRange().Kvs; len(own) > 0 {
		id, err := parseID(string(own[0].Value))
		if err == nil && want >= 0 && want != id {
			err = fmt.Errorf("the data directory belongs to broker %d, it asks for %d: %w", id, want, ErrIDTaken)
		}
		return id, true, err
	}
	taken := map[kafka.BrokerID]bool{}
	for _, kv := range resp.Responses[1].GetResponseRange().Kvs {
		id, err := parseID(string(kv.Key[len(keyIDs):]))
		if err != nil {
			return 0, false, err
		}
		taken[id] = true
	}
	if id = want; id < 0 {
		id = c.free(taken)
	}
	if taken[id] {
		return 0, false, fmt.Errorf("broker %d: %w", id, ErrIDTaken)
	}
	idKey := idKey(id)
	txn, err := c.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(dirKey), "=", 0), clientv3.Compare(clientv3.ModRevision(idKey), "=", 0)).
		Then(clientv3.OpPut(dirKey, strconv.Itoa(int(id))), clientv3.OpPut(idKey, dir.String())).
		Commit()
	return id, err == nil && txn.Succeeded, err
}

// free is the first id above all that are in use.
func (c *Cluster) free(taken map[kafka.BrokerID]bool) kafka.BrokerID {
	c.mu.Lock()
	img := c.image
	c.mu.Unlock()
	next := kafka.BrokerID(0)
	for id := range taken {
		next = max(next, id+1)
	}
	for id := range img.Brokers {
		next = max(next, id+1)
	}
	return next
}

func idKey(id kafka.BrokerID) string { return keyIDs + strconv.Itoa(int(id)) }

func barKey(id kafka.BrokerID) string { return keyBarred + strconv.Itoa(int(id)) }

func parseID(s string) (kafka.BrokerID, error) {
	id, err := strconv.ParseInt(s, 10, 32)
	if err != nil || id < 0 {
		return kafka.NoBroker, fmt.Errorf("%q is no broker id: %w", s, ErrDamaged)
	}
	return kafka.BrokerID(id), nil
}

// ReleaseID takes a broker id from the data directory that owns it, for a broker that is gone for good or has lost its disk. Nothing is
// done when nobody owns it.
func (c *Cluster) ReleaseID(ctx context.Context, id kafka.BrokerID) error {
	err := c.ask(ctx, func(ctx context.Context) error {
		for {
			own, err := c.client.Get(ctx, idKey(id))
			if err != nil || len(own.Kvs) == 0 {
				return err
			}
			txn, err := c.client.Txn(ctx).
				If(clientv3.Compare(clientv3.ModRevision(idKey(id)), "=", own.Kvs[0].ModRevision)).
				Then(clientv3.OpDelete(idKey(id)), clientv3.OpDelete(keyDirs+string(own.Kvs[0].Value))).
				Commit()
			if err != nil || txn.Succeeded {
				return err
			}
		}
	})
	if err != nil {
		return fmt.Errorf("release broker id %d: %w", id, err)
	}
	return nil
}

// Adopt gives a broker id, whoever owns it, to another data directory: the owner's disk is lost. The caller makes sure that the broker is
// down. Called again it changes nothing.
func (c *Cluster) Adopt(ctx context.Context, incarnation kafka.UUID, id kafka.BrokerID) error {
	owner, err := c.Owner(ctx, id)
	if err == nil && owner != incarnation {
		err = c.ReleaseID(ctx, id)
	}
	if err == nil {
		_, err = c.AssignID(ctx, incarnation, id)
	}
	return err
}

// Owner is the data directory that owns a broker id; zero: none.
func (c *Cluster) Owner(ctx context.Context, id kafka.BrokerID) (owner kafka.UUID, err error) {
	err = c.ask(ctx, func(ctx context.Context) error {
		own, err := c.client.Get(ctx, idKey(id))
		if err != nil || len(own.Kvs) == 0 {
			return err
		}
		owner, err = kafka.ParseUUID(string(own.Kvs[0].Value))
		if err != nil {
			return fmt.Errorf("the owner of broker id %d: %w: %w", id, err, ErrDamaged)
		}
		return nil
	})
	return owner, err
}
