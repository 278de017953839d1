package main

import (
	"context"
	"errors"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// neededRequests are those without which no client can produce or consume.
var neededRequests = map[kmsg.Key]string{
	kmsg.Produce: "Produce", kmsg.Fetch: "Fetch", kmsg.ListOffsets: "ListOffsets", kmsg.Metadata: "Metadata",
}

func (d *doctor) checkVersions(ctx context.Context, cl *kgo.Client) {
	resp, err := askVersions(ctx, cl)
	if err != nil {
		d.fail("protocol", "is this a Kafka port? the line protocol, gRPC and HTTP have others", "ask for the API versions: %v", explain(err))
		return
	}
	missing := make(map[kmsg.Key]string)
	for key, name := range neededRequests {
		missing[key] = name
	}
	for _, k := range resp.ApiKeys {
		delete(missing, kmsg.Key(k.ApiKey))
	}
	if len(missing) > 0 {
		var names []string
		for _, n := range missing {
			names = append(names, n)
		}
		d.fail("protocol", "this port may be for controllers only: use that of a broker", "it does not offer %s", strings.Join(names, ", "))
		return
	}
	d.ok("protocol", "%d request types%s", len(resp.ApiKeys), likeKafka(resp))
}

// askVersions asks one of the brokers at the addresses that were given, and none at those that the cluster tells of: these are another check's affair.
func askVersions(ctx context.Context, cl *kgo.Client) (resp *kmsg.ApiVersionsResponse, err error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "rafka-cli", "1"
	for _, seed := range cl.SeedBrokers() {
		if resp, err = req.RequestWith(ctx, seed); err == nil {
			return resp, kerr.ErrorForCode(resp.ErrorCode)
		}
	}
	return nil, err
}

// likeKafka names the version of Kafka that offers the same, if there is one: a broker that offers a selection is like none.
func likeKafka(resp *kmsg.ApiVersionsResponse) string {
	guess := kversion.FromApiVersionsResponse(resp).VersionGuess()
	if !strings.HasPrefix(guess, "v") {
		return ""
	}
	return ", like Kafka " + guess
}

func (d *doctor) checkMetadata(ctx context.Context, cl *kgo.Client) (kadm.Metadata, bool) {
	m, err := newAdmin(cl).Metadata(ctx)
	var auth *kadm.AuthError
	switch {
	case errors.As(err, &auth):
		d.fail("metadata", "the user needs the Describe permission on the cluster, or log in with -X user=, -X pass=", "%v", err)
		return m, false
	case err != nil:
		d.fail("metadata", "", "%v", explain(err))
		return m, false
	case len(m.Brokers) == 0:
		d.fail("metadata", "look into the broker's log: it does not know itself", "the cluster names no brokers")
		return m, false
	}
	d.ok("metadata", "cluster %s, %d brokers, %d topics", m.Cluster, len(m.Brokers), len(m.Topics))
	if m.Controller < 0 {
		d.fail("controller", "topics cannot be made or changed until the brokers elect one; is a majority of them running?", "there is no controller")
	} else {
		d.ok("controller", "broker %d", m.Controller)
	}
	return m, true
}

func (d *doctor) checkPartitions(m kadm.Metadata) {
	h := judgeHealth(m, clusterFacts{})
	if n := len(h.Leaderless); n > 0 {
		d.fail("partitions", "start the brokers that hold their replicas", "%d without a leader, such as %s: they can neither be written nor read", n, h.Leaderless[0])
	}
	if n := len(h.UnderReplicated); n > 0 {
		d.warn("partitions", "a broker is down or behind; `rafka cluster health` lists them", "%d have fewer replicas in sync than they should, such as %s", n, h.UnderReplicated[0])
	}
	if len(h.Leaderless)+len(h.UnderReplicated) == 0 {
		d.ok("partitions", "all have a leader and their replicas")
	}
}
