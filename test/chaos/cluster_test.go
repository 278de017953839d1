package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/testbin"
	"github.com/rafka-io/rafka/test/chaos/internal/wires"
)

const (
	kafkaPort = 9092
	peerPort  = 9093
	smallDisk = 0 // the broker whose disk is small
)

// cluster are brokers in namespaces of their own. The clients live in one more, which is the last host of the net.
type cluster struct {
	*testbin.Nodes
	net    *wires.Net
	filler string // a file that takes what room there is on the small disk
}

// newCluster does not start the brokers.
func newCluster(t testing.TB, n int, seed uint64, args ...string) *cluster {
	t.Helper()
	net := wires.New(t, n+1, seed)
	c := &cluster{Nodes: testbin.NewNodes(t, n, args...), net: net}
	for i := range n {
		c.Kafka[i], c.Peers[i] = fmt.Sprintf("%s:%d", net.Addr(i), kafkaPort), fmt.Sprintf("%s:%d", net.Addr(i), peerPort)
	}
	c.In = func(i int, start func()) {
		if err := net.In(i, start); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// shrink gives one broker a disk of its own of that size. It reports whether that can be done here.
func (c *cluster) shrink(mib int) bool {
	dir := c.Dirs[smallDisk]
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", mib), "rafka-chaos", dir).CombinedOutput(); err != nil {
		c.T.Logf("no disk will be full, for mount is refused here: %v %s", err, out)
		return false
	}
	c.T.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	c.filler = filepath.Join(dir, "filler")
	return true
}

// fill takes all room there is on the small disk; empty gives it back.
func (c *cluster) fill() {
	f, err := os.OpenFile(c.filler, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		c.T.Logf("fill the disk: %v", err)
		return
	}
	defer f.Close()
	for piece := make([]byte, 1<<20); len(piece) > 0; piece = piece[:len(piece)/2] {
		for err = nil; err == nil; {
			_, err = f.Write(piece)
		}
	}
}

func (c *cluster) empty() {
	if err := os.Remove(c.filler); err != nil && !os.IsNotExist(err) {
		c.T.Errorf("give the disk its room back: %v", err)
	}
}

// clients is the host on which the clients live.
func (c *cluster) clients() int { return len(c.Procs) }

// cut cuts what goes from some hosts to others.
func (c *cluster) cut(from, to []int) {
	for _, a := range from {
		for _, b := range to {
			if a != b {
				c.net.Set(a, b, wires.Rule{Cut: true})
			}
		}
	}
}

// others are all brokers but one.
func (c *cluster) others(i int) (list []int) {
	for j := range c.Procs {
		if j != i {
			list = append(list, j)
		}
	}
	return list
}

// bury forgets processes that have ended by themselves, so that Start starts them again.
func (c *cluster) bury() {
	for i, p := range c.Procs {
		if p == nil {
			continue
		}
		select {
		case <-p.Ended():
			c.T.Logf("broker %d has ended by itself", i+1)
			c.Procs[i] = nil
		default:
		}
	}
}

// client is a client on the clients' host that does not wait long for a broker that is cut off.
func (c *cluster) client(opts ...kgo.Opt) *kgo.Client {
	c.T.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.Kafka...), kgo.Dialer(c.net.Dial(c.clients(), time.Second)),
		kgo.RequestTimeoutOverhead(time.Second), kgo.MetadataMinAge(20 * time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond })}, opts...)...)
	if err != nil {
		c.T.Fatal(err)
	}
	return cl
}

// controller is the broker that decides, as some broker says; the first one if none does.
func (c *cluster) controller(cl *kgo.Client) int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	m, err := kadm.NewClient(cl).BrokerMetadata(ctx)
	if err != nil || m.Controller < 1 {
		return 0
	}
	return int(m.Controller) - 1
}

// whole waits until all brokers serve and all replicas are in sync, as every broker says, and fails the test if that takes longer than patience.
func (c *cluster) whole(cl *kgo.Client, patience time.Duration) {
	c.T.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		var why string
		for i := range c.Procs {
			if why = c.broken(cl, i); why != "" {
				break
			}
		}
		if why == "" {
			return
		}
		if time.Now().After(end) {
			c.T.Fatalf("the cluster is not whole %v after all was mended: %s", patience, why)
		}
	}
}

// broken is what is not as it should be as broker i sees it; "" if all is.
func (c *cluster) broken(cl *kgo.Client, i int) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	m, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl.Broker(i+1))
	if err != nil {
		return fmt.Sprintf("broker %d says nothing: %v", i+1, err)
	}
	var wrong []string
	if len(m.Brokers) < len(c.Procs) {
		wrong = append(wrong, fmt.Sprintf("only %d brokers serve", len(m.Brokers)))
	}
	for _, t := range m.Topics {
		for _, p := range t.Partitions {
			if p.Leader < 0 || len(p.ISR) < len(p.Replicas) || len(p.OfflineReplicas) > 0 {
				wrong = append(wrong, fmt.Sprintf("%s-%d is led by %d, of %v in sync are %v", *t.Topic, p.Partition, p.Leader, p.Replicas, p.ISR))
			}
		}
	}
	if len(wrong) == 0 {
		return ""
	}
	return fmt.Sprintf("broker %d says: %s", i+1, strings.Join(wrong[:min(len(wrong), 5)], "; "))
}
