package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	httpKey  = "rafka.http.address"
	httpHelp = "`HOST:PORT` of a Rafka broker's HTTP door (default: where the brokers say that it is, " + httpKey + ")"
)

// httpDoors are the addresses of the brokers' HTTP doors. Kafka's protocol does not tell of them, so each broker is asked for its setting. A door that
// is open to its own machine only is left out where that is another one: whoever listens at that address here is somebody else. What cannot be
// had is left out too, and it is an error if then there is none.
func httpDoors(ctx context.Context, adm *admin, named string) ([]string, error) {
	if named != "" {
		return []string{named}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	brokers, err := adm.ListBrokers(ctx)
	if err != nil {
		return nil, err
	}
	own, _ := net.InterfaceAddrs() // without them a broker at an address of this machine counts as a remote one
	var found, elsewhere []string
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, b := range brokers {
		all.Go(func() {
			at, remote := doorOf(b, settingOf(ctx, adm, b.NodeID, httpKey), own)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case remote:
				elsewhere = append(elsewhere, strconv.Itoa(int(b.NodeID)))
			case at != "":
				found = append(found, at)
			}
		})
	}
	all.Wait()
	slices.Sort(found)
	slices.Sort(elsewhere)
	switch {
	case len(found) > 0:
		return found, nil
	case len(elsewhere) > 0:
		return nil, fmt.Errorf("the HTTP doors of brokers %s can be reached from their own machines only: run this there, or have %s be an address of the network",
			strings.Join(elsewhere, ", "), httpKey)
	}
	return nil, errors.New("no broker has an HTTP door (" + httpKey + "), or this is no cluster of Rafka")
}

// doorOf is where the HTTP door of a broker is reached from here, given its setting: "" if it has none, remote if only its own machine reaches it and that is
// another one, as far as the broker's address tells.
func doorOf(b kadm.BrokerDetail, setting string, own []net.Addr) (at string, remote bool) {
	host, port, err := net.SplitHostPort(setting)
	if err != nil {
		return "", false
	}
	ip := net.ParseIP(host)
	switch {
	case host == "" || ip != nil && ip.IsUnspecified():
		return net.JoinHostPort(b.Host, port), false
	case isLoopback(host):
		return setting, !isLoopback(b.Host) && !slices.ContainsFunc(own, func(a net.Addr) bool {
			n, is := a.(*net.IPNet)
			return is && n.IP.Equal(net.ParseIP(b.Host))
		})
	}
	return setting, false
}

var errNoDoor = errors.New("no Rafka broker answers at its HTTP door (--http HOST:PORT says where one is)")

// noDoor words that there was no answer. The cause is told as text: an address of HTTP is none that the cluster's metadata names, of which explain would
// speak.
func noDoor(err error) error { return fmt.Errorf("%w: %v", errNoDoor, err) }

// settingOf is what a broker says of one of its settings, "" if it cannot be asked or does not know it.
func settingOf(ctx context.Context, adm *admin, id int32, key string) string {
	req := kmsg.NewPtrDescribeConfigsRequest()
	wanted := kmsg.NewDescribeConfigsRequestResource()
	wanted.ResourceType, wanted.ResourceName, wanted.ConfigNames = kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(id)), []string{key}
	req.Resources = append(req.Resources, wanted)
	resp, err := req.RequestWith(ctx, adm.raw.Broker(int(id)))
	if err != nil || len(resp.Resources) != 1 {
		return ""
	}
	for _, c := range resp.Resources[0].Configs {
		if c.Name == key {
			return strings.TrimSpace(deref(c.Value))
		}
	}
	return ""
}
