package crash

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/rafka-io/rafka/internal/porttest"
	"github.com/rafka-io/rafka/internal/testbin"
)

// Three brokers over an etcd that others run: whoever comes to the same prefix is of one cluster, the controller may die, and a wrong address or
// prefix is said to be one.
func TestClusterOverAnExternalEtcd(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	t.Parallel()
	addr := startEtcd(t)
	c := testbin.NewNodes(t, 3, "--http-addr", "", "--grpc-addr", "", "--metadata", "etcd://"+addr+"/test")
	defer c.Logs()
	c.Start()
	first := clusterOf(c, 0)
	for i := range c.Procs {
		if got := clusterOf(c, i); got != first {
			t.Fatalf("broker %d is of %s, broker 1 of %s", i+1, got, first)
		}
	}
	makeTopic(c, "before")
	decides := 0
	waitFor(t, "somebody decides", func() bool { return len(votes(c)) == 1 })
	fmt.Sscan(votes(c), &decides)
	c.Kill(decides - 1)
	makeTopic(c, "after")
	c.Start()
	waitFor(t, "every replica is in sync again", func() bool { return inSync(c) })
	c.Stop(0)
	third := "etcd://" + addr + "/third"
	testbin.Start(t, "--data-dir", t.TempDir(), "--kafka-addr", "127.0.0.1:0", "--peer-addr", "127.0.0.1:0", "--http-addr", "", "--grpc-addr", "", "--metadata", third)
	for place, what := range map[string]string{
		"etcd://" + addr + "/other": "there is no metadata at",
		addr:                        "does not begin with etcd://",
		third:                       "the metadata at " + third + " is of cluster",
		"":                          "give --metadata",
	} {
		s := testbin.Begin(t, "--data-dir", c.Dirs[0], "--kafka-addr", c.Kafka[0], "--peer-addr", c.Peers[0], "--http-addr", "", "--grpc-addr", "", "--metadata", place)
		<-s.Ended()
		if !strings.Contains(s.Log(), what) {
			t.Fatalf("with %q it says\n%s\nand not %q", place, s.Log(), what)
		}
	}
	c.Procs[0] = nil
	c.Start()
	waitFor(t, "every replica is in sync again", func() bool { return inSync(c) })
}

// startEtcd runs an etcd in this process and returns its address.
func startEtcd(t *testing.T) string {
	t.Helper()
	addrs := porttest.Free(t, 2)
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel = t.TempDir(), "fatal"
	client, peer := url.URL{Scheme: "http", Host: addrs[0]}, url.URL{Scheme: "http", Host: addrs[1]}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return addrs[0]
}
