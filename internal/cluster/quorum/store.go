package quorum

import (
	"context"
	"errors"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// Store is the replicated store of metadata records. All methods may be called at any time from any goroutine.
type Store interface {
	// Load returns a snapshot and the revision it stands for; Follow after that revision gives everything that comes later.
	Load(ctx context.Context) (metadata.Snapshot, Revision, error)

	// Follow calls fn with every batch after a revision, in order and without gaps, from the caller's goroutine. It returns when ctx
	// ends (its error), when fn returns an error (that error), when the store closes (ErrClosed), or with ErrTooFarBehind when it no
	// longer has the batches: then Load again. fn must not Commit and wait: that commit would wait for fn (QUO-1).
	Follow(ctx context.Context, after Revision, fn func(Batch) error) error

	// Commit appends records as one batch: all or none, durably, before it returns (QUO-1). Records that contradict the image are
	// refused (metadata.ErrConflict, metadata.ErrUnknownRecord). Without records it returns the present revision, and that proves that
	// nobody had committed in a later term when it was called. An error other
	// than ErrStaleTerm, ErrGuard and those two leaves open whether the records were committed; when ctx ends after they were
	// written, they are.
	Commit(ctx context.Context, term Term, guards []Guard, records []metadata.Record) (Revision, error)

	// Leadership says who may commit now.
	Leadership() Leadership

	// Watch calls fn with the present Leadership at once and then with each new one, one call at a time, until stop. fn must be quick
	// and must not call the store.
	Watch(fn func(Leadership)) (stop func())

	// Close ends Follow and refuses later commits. It returns when everything committed is on disk.
	Close() error
}

// Revision counts committed batches, from 1. 0: nothing yet. A batch is one revision, seen whole or not at all.
type Revision int64

// Term counts leaders. A commit of an older term fails (QUO-3).
type Term int64

// Guard is what must hold for a commit besides its term.
type Guard struct {
	// Head is the revision the decision was made on: the commit fails with ErrGuard if anything was committed after it.
	Head Revision
}

// Batch is what one Commit wrote. Records are shared by all followers and must not be written to.
type Batch struct {
	Revision Revision
	Records  []metadata.Record
}

// Leadership says which broker decides.
type Leadership struct {
	Controller kafka.BrokerID // NoBroker: nobody at present
	Term       Term
	Here       bool // this node decides
}

// Errors of stores; errors.Is.
var (
	ErrStaleTerm    = errors.New("another controller has taken over")
	ErrGuard        = errors.New("the metadata has changed since the decision was made")
	ErrTooFarBehind = errors.New("the batches asked for are no longer kept; load a snapshot")
	ErrClosed       = errors.New("the metadata store is closed")
	// ErrFailed: an I/O error made it unknown what the disk holds. Every later commit fails; only opening the store anew helps.
	ErrFailed = errors.New("the metadata store is offline after an I/O error; repair the disk and restart")
	// ErrDamaged: the file holds something that no crash leaves behind.
	ErrDamaged = errors.New("the metadata log is damaged; restore it from a backup or, to lose what follows, cut it there")
	// ErrTooLarge: the records of one commit exceed MaxBatchBytes.
	ErrTooLarge = errors.New("too many metadata records in one commit")
)

// MaxBatchBytes is the most that the records of one Commit may take in their encoding.
const MaxBatchBytes = 16 << 20
