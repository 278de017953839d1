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
	feed
	opts Options
	lock io.Closer // of the data directory; nil without FS
	cut  int64
	log  *logFile // nil without FS; used under writing

	// writing is held by the one committer that writes for all that wait (group commit), across the fsync. Order: writing before mu.
	writing sync.Mutex

	// feed.mu guards these, too. ahead and aheadHead are the feed's image and head with the waiting commits on top, which is what the
	// next commit is checked against. head <= aheadHead.
	ahead     *metadata.Image
	aheadHead Revision
	waiting   []*commit
	failed    error
}

// Open opens or makes the store in a data directory. It reads the log, cuts a half-written last frame (Cut tells how much), and takes
// the directory for this process. Errors: vfs.ErrLocked when another process has it, ErrDamaged, metadata.ErrUnknownRecord.
func Open(opts Options) (*Local, error) {
	if opts.CompactBytes <= 0 {
		opts.CompactBytes = 4 << 20
	}
	l := &Local{feed: newFeed(), opts: opts}
	l.leads = Leadership{Controller: opts.Node, Term: localTerm, Here: true}
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
	img, rev, ended := l.image, l.head, l.ended
	l.mu.Unlock()
	if ended != nil {
		return metadata.Snapshot{}, 0, ended
	}
	return metadata.SnapshotOf(img), rev, nil
}

// nobodyLocked says that nobody leads from now on.
func (l *Local) nobodyLocked() {
	l.leads = Leadership{Controller: kafka.NoBroker, Term: localTerm}
}

// Close implements Store. Commits that wait finish first.
func (l *Local) Close() error {
	l.mu.Lock()
	already := l.ended != nil
	l.ended = ErrClosed // nothing is queued from here on, so nothing is written after the file is closed
	l.nobodyLocked()
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
