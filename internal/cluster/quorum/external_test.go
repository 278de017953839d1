package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"testing"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/cluster/quorum/quorumtest"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/porttest"
)

// startExternal runs an etcd with etcd's own defaults and returns its address.
func startExternal(t testing.TB) (*embed.Etcd, string) {
	t.Helper()
	addrs := porttest.Free(t, 2)
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel, cfg.UnsafeNoFsync = t.TempDir(), "fatal", true
	client, peer := url.URL{Scheme: "http", Host: addrs[0]}, url.URL{Scheme: "http", Host: addrs[1]}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e, addrs[0]
}

// external is a store of one node over an etcd of others.
func external(t testing.TB, addr, prefix string, node kafka.BrokerID) *quorum.Cluster {
	t.Helper()
	c, err := quorum.External(t.Context(), quorum.ClusterOptions{Node: node, Logger: slog.New(slog.DiscardHandler)}, []string{addr}, prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	c.Campaign(node)
	return c
}

func TestExternalIsAStore(t *testing.T) {
	t.Parallel()
	_, addr := startExternal(t)
	n := 0
	quorumtest.Run(t, func(t *testing.T) quorum.Store {
		n++
		c := external(t, addr, fmt.Sprintf("p%d/", n), 1)
		eventually(t, "it leads", func() bool { return c.Leadership().Here })
		return c
	})
}

// QUO-2, QUO-3: three nodes over one etcd elect one controller, which hands over as it closes; the next term is higher, all have one history,
// and another prefix is another cluster.
func TestExternalElectsOneController(t *testing.T) {
	t.Parallel()
	_, addr := startExternal(t)
	nodes := []*quorum.Cluster{external(t, addr, "a/", 1), external(t, addr, "a/", 2), external(t, addr, "a/", 3)}
	stranger := external(t, addr, "b/", 1)
	leads := func(list []*quorum.Cluster) (found *quorum.Cluster) {
		eventually(t, "one leads and the others know", func() bool {
			found = nil
			for _, n := range list {
				if n.Leadership().Here {
					found = n
				}
			}
			for _, n := range list {
				if found == nil || n.Leadership().Term != found.Leadership().Term || n.Leadership().Controller != found.Leadership().Controller || n != found && n.Leadership().Here {
					return false
				}
			}
			return true
		})
		return found
	}
	first := leads(nodes)
	term := first.Leadership().Term
	if _, err := first.Commit(within(t), term, nil, []metadata.Record{quorumtest.Set("a", "1")}); err != nil {
		t.Fatal(err)
	}
	var rest []*quorum.Cluster
	for _, n := range nodes {
		if n != first {
			rest = append(rest, n)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := leads(rest)
	if second.Leadership().Term <= term {
		t.Fatalf("term %d follows %d", second.Leadership().Term, term)
	}
	r, err := second.Commit(within(t), second.Leadership().Term, nil, []metadata.Record{quorumtest.Set("a", "2")})
	if err != nil || r != 2 {
		t.Fatal(r, err)
	}
	for _, n := range rest {
		if got, rev := settings(t, n); rev != 2 || got["a"] != "2" {
			t.Fatalf("revision %d with %v", rev, got)
		}
	}
	if _, rev := settings(t, stranger); rev != 0 {
		t.Fatalf("another prefix has %d revisions", rev)
	}
	if _, err := second.Voters(within(t)); !errors.Is(err, quorum.ErrExternal) {
		t.Fatal(err)
	}
	for want, create := range map[string]string{"": "", "first": "first"} {
		if id, err := stranger.ClusterID(within(t), create); err != nil || id != want {
			t.Fatal(id, err)
		}
		if create != "" {
			if id, err := stranger.ClusterID(within(t), "second"); err != nil || id != "first" {
				t.Fatal(id, err)
			}
			break
		}
	}
}

// QUO-3: when the etcd is gone nobody decides any more, before another one could.
func TestExternalThatIsLostEndsTheLeadership(t *testing.T) {
	t.Parallel()
	e, addr := startExternal(t)
	c := external(t, addr, "", 1)
	eventually(t, "it leads", func() bool { return c.Leadership().Here })
	e.Server.HardStop()
	eventually(t, "it does not lead", func() bool { return !c.Leadership().Here })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := c.Load(ctx); err == nil {
		t.Fatal("loaded from nowhere")
	}
}

func TestParseExternal(t *testing.T) {
	for s, want := range map[string]string{
		"etcd://a:1":            "[a:1] ",
		"etcd://a:1,b:2/p":      "[a:1 b:2] p/",
		"etcd://[::1]:2/p/q/":   "[[::1]:2] p/q/",
		"etcd://a":              "error",
		"etcd://":               "error",
		"http://a:1":            "error",
		"etcd://a:1,:2":         "error",
		"etcd://a:99999/prefix": "error",
	} {
		list, prefix, err := quorum.ParseExternal(s)
		got := fmt.Sprint(list, " ", prefix)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %s (%v), want %s", s, got, err, want)
		}
	}
}
