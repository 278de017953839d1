package main

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	drainKey = "rafka.broker.drain"
	// askPatience is how long one broker of several may take: a dead one must not keep the others from being shown.
	askPatience = 2 * time.Second
)

// ask asks each broker whether it drains, and finds those that cannot be reached. What a broker does not know or say counts as no.
func (n *nodes) ask(ctx context.Context, adm *admin) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	var all sync.WaitGroup
	for i := range n.list {
		node := &n.list[i]
		if node.State == stateAbsent {
			continue
		}
		all.Go(func() {
			drains, err := asksDrain(ctx, n.via(adm, node), node.ID)
			node.Draining = drains
			if node.State == stateServing && unreachable(err) {
				node.State = stateUnreachable
			}
		})
	}
	all.Wait()
}

// via is whom to ask about a broker: itself, or the controller about one that does not serve.
func (n *nodes) via(adm *admin, node *nodeView) kmsg.Requestor {
	if node.serves() || n.meta.Controller < 0 {
		return adm.raw.Broker(int(node.ID))
	}
	return adm.raw.Broker(int(n.meta.Controller))
}

func asksDrain(ctx context.Context, via kmsg.Requestor, id int32) (bool, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	wanted := kmsg.NewDescribeConfigsRequestResource()
	wanted.ResourceType, wanted.ResourceName, wanted.ConfigNames = kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(id)), []string{drainKey}
	req.Resources = append(req.Resources, wanted)
	resp, err := req.RequestWith(ctx, via)
	if err != nil || len(resp.Resources) != 1 {
		return false, err
	}
	for _, c := range resp.Resources[0].Configs {
		if c.Name == drainKey {
			return strings.EqualFold(strings.TrimSpace(deref(c.Value)), "true"), nil
		}
	}
	return false, nil
}

// unreachable reports whether err says that there was no answer.
func unreachable(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, context.DeadlineExceeded)
}
