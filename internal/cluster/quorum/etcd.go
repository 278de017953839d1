package quorum

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/vfs"
)

const (
	namePrefix = "broker-" // of members; the broker's id follows

	// maxSocketPath is what all systems take for a unix socket's path, its final zero included.
	maxSocketPath = 104

	maxRequest    = 2 * MaxBatchBytes // a batch and what goes with it in its transaction
	maxOps        = 1024              // of a transaction; a group of commits has at most maxGroup
	backendQuota  = 8 << 30
	maxLearners   = 8
	raftSnapshots = 5000 // raft entries between etcd's own snapshots; with raftCatchUp it bounds the entries in memory
	raftCatchUp   = 1000
	backstop      = "100000" // etcd's revisions that its own compaction keeps; ours keeps fewer
)

// embedded is an etcd in this process. It listens on two unix sockets only, to which the server of the peer port copies connections.
type embedded struct {
	*embed.Etcd
	sockets string // directory of the sockets, removed at the end
	lock    io.Closer
	log     *bridge

	// handling is held for reading while a client's request is handled, a watch as long as it lasts; refusing is set under it. etcd reads
	// its database without asking whether that is still open, so nobody may be in there when it closes.
	handling sync.RWMutex
	refusing bool

	mu     sync.Mutex // guards what follows; leaf
	conns  map[*trackedConn]struct{}
	closed struct{ raft, client bool } // no more connections of the kind
}

// trackedConn is a connection to one of the sockets; closing the etcd closes it, for etcd waits for clients to go away by themselves.
type trackedConn struct {
	net.Conn
	owner *embedded
	raft  bool
}

func (c *trackedConn) Close() error {
	c.owner.mu.Lock()
	delete(c.owner.conns, c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite lets who copies pass on the end of one direction.
func (c *trackedConn) CloseWrite() error {
	if u, ok := c.Conn.(*net.UnixConn); ok {
		return u.CloseWrite()
	}
	return nil
}

func memberName(id kafka.BrokerID) string { return namePrefix + strconv.Itoa(int(id)) }

// memberNode reads what memberName wrote; NoBroker for a member that has not told its name yet.
func memberNode(name string) kafka.BrokerID {
	digits, ok := strings.CutPrefix(name, namePrefix)
	id, err := strconv.ParseInt(digits, 10, 32)
	if !ok || err != nil || id < 0 {
		return kafka.NoBroker
	}
	return kafka.BrokerID(id)
}

// lockDir takes the directory for this process.
func lockDir(dir string) (io.Closer, error) {
	if err := makeDir(vfs.OS(), dir); err != nil {
		return nil, err
	}
	return vfs.OS().Lock(filepath.Join(dir, markerLock))
}

// startEtcd starts the member that m describes. The caller has the lock, which belongs to the etcd from here on.
func startEtcd(o ClusterOptions, m marker, lock io.Closer) (e *embedded, err error) {
	e = &embedded{lock: lock, log: newBridge(o.Logger), conns: map[*trackedConn]struct{}{}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start etcd in %s: %w", o.Dir, err), e.release())
			e = nil
		}
	}()
	if e.sockets, err = makeSockets(o.Dir); err != nil {
		return e, err
	}
	cfg, err := e.config(o, m)
	if err != nil {
		return e, err
	}
	e.Etcd, err = embed.StartEtcd(cfg)
	return e, err
}

func (e *embedded) config(o ClusterOptions, m marker) (*embed.Config, error) {
	advertised, err := url.Parse(o.PeerURL)
	if err != nil || advertised.Scheme != "http" || advertised.Port() == "" {
		return nil, fmt.Errorf("the peer URL %q is not of the form http://HOST:PORT", o.PeerURL)
	}
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = memberName(o.Node), filepath.Join(o.Dir, etcdDir)
	// The path stands where the host does: of a peer's URL etcd looks at nothing else.
	cfg.ListenPeerUrls = []url.URL{{Scheme: "unix", Host: e.socket(true)}}
	cfg.ListenClientUrls = []url.URL{{Scheme: "unix", Host: e.socket(false)}}
	cfg.AdvertisePeerUrls, cfg.AdvertiseClientUrls = []url.URL{*advertised}, []url.URL{*advertised}
	cfg.InitialCluster = initialCluster(m.Members)
	cfg.InitialClusterToken = m.Token
	if m.Joining {
		cfg.ClusterState = embed.ClusterStateFlagExisting
	}
	cfg.TickMs, cfg.ElectionMs = o.TickMs, o.ElectionMs
	cfg.PreVote, cfg.StrictReconfigCheck = true, true
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = embed.CompactorModeRevision, backstop
	cfg.QuotaBackendBytes = backendQuota
	cfg.MaxRequestBytes, cfg.MaxTxnOps = maxRequest, maxOps
	cfg.MaxLearners = maxLearners
	cfg.SnapshotCount, cfg.SnapshotCatchUpEntries = raftSnapshots, raftCatchUp
	cfg.EnableGRPCGateway, cfg.AuthToken = false, ""
	cfg.WarningApplyDuration, cfg.WarningUnaryRequestDuration = time.Second, 2*time.Second
	cfg.GRPCAdditionalServerOptions = e.guard()
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(e.log))
	return cfg, nil
}

// initialCluster is the list of members as etcd wants it. One that has not told its id yet gets a name of its own.
func initialCluster(members []Member) string {
	list := make([]string, len(members))
	for i, m := range members {
		name := memberName(m.Node)
		if m.Node < 0 {
			name = fmt.Sprintf("member-%x", m.ID)
		}
		list[i] = name + "=" + m.PeerURL
	}
	return strings.Join(list, ",")
}

// makeSockets makes the directory for the sockets of the etcd in dir. It lies below the system's directory for temporary files, because
// paths of sockets must be short; its name begins with a hash of dir, so that what a killed process left is found and removed, and ends
// with dice, so that nobody else on the machine can make it before us.
func makeSockets(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(abs))
	sys, parent, prefix := vfs.OS(), os.TempDir(), "rafka-"+hex.EncodeToString(sum[:6])+"-"
	names, err := sys.List(parent)
	if err != nil {
		return "", fmt.Errorf("directory for temporary files: %w", err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, prefix) {
			if err := sys.RemoveAll(filepath.Join(parent, name)); err != nil {
				return "", fmt.Errorf("remove the sockets of an earlier run: %w", err)
			}
		}
	}
	uuid := kafka.NewUUID()
	made := filepath.Join(parent, prefix+hex.EncodeToString(uuid[:6]))
	if len(made)+3 > maxSocketPath {
		return "", fmt.Errorf("%s is too long for a unix socket, which may have %d bytes: set TMPDIR to a shorter directory", made, maxSocketPath)
	}
	return made, sys.MkdirAll(made)
}

func (e *embedded) socket(raft bool) string {
	if raft {
		return filepath.Join(e.sockets, "p")
	}
	return filepath.Join(e.sockets, "c")
}

// dial connects to one of the sockets.
func (e *embedded) dial(raft bool) (net.Conn, error) {
	conn, err := net.Dial("unix", e.socket(raft))
	if err != nil {
		return nil, err
	}
	c := &trackedConn{Conn: conn, owner: e, raft: raft}
	e.mu.Lock()
	defer e.mu.Unlock()
	if raft && e.closed.raft || !raft && e.closed.client {
		conn.Close()
		return nil, ErrClosed
	}
	e.conns[c] = struct{}{}
	return c, nil
}

// hangUp closes the connections of clients, and those of raft, too, if all.
func (e *embedded) hangUp(all bool) {
	e.mu.Lock()
	e.closed.client, e.closed.raft = true, e.closed.raft || all
	var list []*trackedConn
	for c := range e.conns {
		if all || !c.raft {
			list = append(list, c)
		}
	}
	e.mu.Unlock()
	for _, c := range list {
		c.Close()
	}
}

// guard are the options by which requests of clients are let in and counted.
func (e *embedded) guard() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			e.handling.RLock()
			defer e.handling.RUnlock()
			if e.refusing {
				return nil, rpctypes.ErrGRPCStopped
			}
			return handle(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(server any, s grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			e.handling.RLock()
			defer e.handling.RUnlock()
			if e.refusing {
				return rpctypes.ErrGRPCStopped
			}
			return handle(server, s)
		}),
	}
}

// refuse ends what clients have asked for, which closing their connections does, waits for it and lets nothing more in.
func (e *embedded) refuse() {
	e.hangUp(false)
	e.handling.Lock()
	defer e.handling.Unlock()
	e.refusing = true
}

// stop ends the etcd. With grace a leader hands over first, for which it gets the time of an election: without that the others need as
// long to elect one. The order matters: clients go first, for the database must not close under their hands; the server stops before
// embed.Etcd.Close, which waits for ever for a server that never found its majority; raft's connections stay until the leadership is
// handed over.
func (e *embedded) stop(grace bool) error {
	e.log.mute()
	e.refuse()
	var wg sync.WaitGroup
	if grace {
		over := make(chan struct{})
		wg.Go(func() {
			defer close(over)
			_ = e.Server.TryTransferLeadershipOnShutdown()
		})
		select {
		case <-over:
		case <-time.After(e.Server.Cfg.ElectionTimeout()):
		}
	}
	e.Server.HardStop()
	wg.Wait()
	e.hangUp(true)
	e.Close()
	return e.release()
}

func (e *embedded) release() error {
	var err error
	if e.sockets != "" {
		err = vfs.OS().RemoveAll(e.sockets)
	}
	return errors.Join(err, e.lock.Close())
}

func loggerOr(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.Default()
	}
	return l
}
