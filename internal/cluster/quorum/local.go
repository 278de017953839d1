package quorum

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/vfs"
)

// localTerm is the only term there is where nobody else can lead.
const localTerm Term = 1

// Options of Local.
type Options struct {
	// FS holds the data directory; nil: nothing is written and everything is forgotten at the end.
	FS vfs.FS
	// Dir is the data directory. Open makes it when it is absent.
	Dir string
	// Node is the id Leadership names.
	Node kafka.BrokerID
	// CompactBytes is the size of frames after which a snapshot takes their place; 0: 4 MiB.
	CompactBytes int64
}

// Local is the Store of a single node.
type Local struct {
	opts Options
	lock io.Closer // of the data directory; nil without FS
	cut  int64
	log  *logFile // nil without FS; used under writing

	// writing is held by the one committer that writes for all that wait (group commit), across the fsync. Order: writing before mu.
	writing sync.Mutex

	// mu guards what follows. Held for memory work only.
	mu sync.Mutex
	// image and head are what is durable; ahead and aheadHead are with the waiting commits on top, which is what the next commit is
	// checked against. head <= aheadHead.
	image     *metadata.Image
	head      Revision
	ahead     *metadata.Image
	aheadHead Revision
	waiting   []*commit
	tail      tail
	followers map[*follower]struct{}
	moved     chan struct{} // closed and replaced when head, a follower or the state below moves
	failed    error
	closed    bool
	watchers  map[*watcher]struct{}
}

// Open opens or makes the store in a data directory. It reads the log, cuts a half-written last frame (Cut tells how much), and takes
// the directory for this process. Errors: vfs.ErrLocked when another process has it, ErrDamaged, metadata.ErrUnknownRecord.
func Open(opts Options) (*Local, error) {
	if opts.CompactBytes <= 0 {
		opts.CompactBytes = 4 << 20
	}
	l := &Local{
		opts:      opts,
		image:     metadata.Empty(),
		followers: map[*follower]struct{}{},
		moved:     make(chan struct{}),
		watchers:  map[*watcher]struct{}{},
	}
	if opts.FS != nil {
		if err := l.openFiles(); err != nil {
			return nil, fmt.Errorf("metadata store in %s: %w", opts.Dir, err)
		}
	}
	l.ahead, l.aheadHead = l.image, l.head
	l.tail.after = l.head
	return l, nil
}

func (l *Local) openFiles() error {
	if err := makeDir(l.opts.FS, l.opts.Dir); err != nil {
		return err
	}
	lock, err := l.opts.FS.Lock(filepath.Join(l.opts.Dir, logLock))
	if err != nil {
		return err
	}
	file, found, err := openLogFile(l.opts.FS, l.opts.Dir)
	if err != nil {
		return errors.Join(err, lock.Close())
	}
	l.lock, l.log, l.image, l.head, l.cut = lock, file, found.image, found.revision, found.cut
	return nil
}

// makeDir makes dir and what is missing above it, durably.
func makeDir(fsys vfs.FS, dir string) error {
	var parents []string
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		_, err := fsys.Stat(at)
		if err == nil || filepath.Dir(at) == at {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		parents = append(parents, filepath.Dir(at))
	}
	if len(parents) == 0 {
		return nil
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return err
	}
	for _, p := range parents {
		if err := fsys.SyncDir(p); err != nil {
			return err
		}
	}
	return nil
}

// Cut is the number of bytes of a half-written frame that Open removed: what a crash left of a commit that nobody was told of.
func (l *Local) Cut() int64 { return l.cut }

// Load implements Store.
func (l *Local) Load(context.Context) (metadata.Snapshot, Revision, error) {
	l.mu.Lock()
	img, rev, closed := l.image, l.head, l.closed
	l.mu.Unlock()
	if closed {
		return metadata.Snapshot{}, 0, ErrClosed
	}
	return metadata.SnapshotOf(img), rev, nil
}

// Leadership implements Store: this node leads until it fails or closes.
func (l *Local) Leadership() Leadership {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leadershipLocked()
}

func (l *Local) leadershipLocked() Leadership {
	if l.closed || l.failed != nil {
		return Leadership{Controller: kafka.NoBroker, Term: localTerm}
	}
	return Leadership{Controller: l.opts.Node, Term: localTerm, Here: true}
}

// Close implements Store. Commits that wait finish first.
func (l *Local) Close() error {
	l.mu.Lock()
	already := l.closed
	l.closed = true // nothing is queued from here on, so nothing is written after the file is closed
	l.mu.Unlock()
	if already {
		return nil
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	l.flush()
	l.mu.Lock()
	head := l.head
	l.notifyLocked()
	l.mu.Unlock()
	l.tellWatchers()
	if l.log == nil {
		return nil
	}
	return errors.Join(l.log.close(head), l.lock.Close())
}

// notifyLocked wakes everyone who waits for a change.
func (l *Local) notifyLocked() {
	close(l.moved)
	l.moved = make(chan struct{})
}
