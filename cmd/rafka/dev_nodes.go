package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rafka-io/rafka/internal/cluster/join"
	"github.com/rafka-io/rafka/internal/vfs"
)

// devNode is one broker of a cluster on this machine.
type devNode struct {
	id                int
	dir, log          string
	kafka, http, peer string   // addresses
	args              []string // of the program
	pid               int      // of its process; 0 before it is ready

	rests int // how often in a row it ended soon after its start
}

// planDev finds the nodes that a directory has, adds those that are missing, and gives each its addresses.
func planDev(dir string, o devOptions) ([]*devNode, error) {
	ids, err := devIDs(dir)
	if err != nil {
		return nil, err
	}
	if o.asked && o.nodes < len(ids) {
		return nil, usagef("%s has %d brokers already, and --nodes is %d: leave it out, or take brokers out with `rafka cluster decommission` and remove their directories", dir, len(ids), o.nodes)
	}
	for id := 1; len(ids) < o.nodes; id++ {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	free := newPorts(o.kafkaPort == 0)
	defer free.release()
	var all []*devNode
	var peers []string
	for _, id := range ids {
		n := &devNode{id: id, dir: filepath.Join(dir, "node-"+strconv.Itoa(id))}
		n.log = filepath.Join(n.dir, "rafka.log")
		if err := n.place(free, o.kafkaPort); err != nil {
			return nil, err
		}
		peers, all = append(peers, n.peer), append(all, n)
	}
	for _, n := range all {
		n.args = []string{
			"serve", "--data-dir", n.dir, "--node-id", strconv.Itoa(n.id), "--kafka-addr", n.kafka, "--http-addr", n.http, "--grpc-addr", "",
			"--peer-addr", n.peer, "--join", strings.Join(peers, ","), "--bootstrap-expect", strconv.Itoa(len(all)), "--log-level", cmp.Or(o.logLevel, "info"),
		}
		for _, kv := range o.set {
			n.args = append(n.args, "--set", kv.key+"="+kv.value)
		}
	}
	return all, nil
}

// devIDs are the ids of the nodes that a directory has.
func devIDs(dir string) (ids []int, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if s, ok := strings.CutPrefix(e.Name(), "node-"); ok && e.IsDir() {
			if id, err := strconv.Atoi(s); err == nil && id > 0 && id <= 1<<20 {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// place makes the directory and finds addresses: for the peer port that under which its cluster knows it, for the others what is free.
func (n *devNode) place(free *ports, kafkaPort int) (err error) {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return err
	}
	id, known, err := join.Load(vfs.OS(), n.dir)
	if err != nil {
		return err
	}
	if known && id.Belongs() {
		if n.peer = id.Listen["rafka.peer.address"]; !free.take(n.peer) {
			return fmt.Errorf("broker %d is known to its cluster at %s, where another program listens: is this cluster running already?", n.id, n.peer)
		}
	}
	if n.kafka, err = free.near(kafkaPort + n.id - 1); err != nil {
		return err
	}
	if n.http, err = free.near(8080 + n.id - 1); err != nil {
		return err
	}
	if n.peer == "" {
		n.peer, err = free.near(kafkaPort + 1000 + n.id - 1)
	}
	return err
}

// ports finds free ports of this machine's own address. What it has found it holds until release, so that it finds none twice.
type ports struct {
	any  bool // not near what is asked for
	held []net.Listener
}

func newPorts(anywhere bool) *ports { return &ports{any: anywhere} }

// Ports below those that systems give to outgoing connections, any of which could take one before its broker does.
const (
	lowestPort, highestPort = 10_000, 32_000
	portTries               = 500
)

// near is the address with the port that is wanted, else one after it, else any that is free.
func (p *ports) near(want int) (string, error) {
	for try := range portTries {
		port := want + 10*try
		if p.any || try > 20 || port > highestPort {
			port = lowestPort + rand.IntN(highestPort-lowestPort)
		}
		if addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port)); p.take(addr) {
			return addr, nil
		}
	}
	return "", fmt.Errorf("no free port was found near %d nor elsewhere", want)
}

// take reports whether nobody listens at addr, and holds it.
func (p *ports) take(addr string) bool {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	p.held = append(p.held, l)
	return true
}

func (p *ports) release() {
	for _, l := range p.held {
		l.Close()
	}
}
