package loop

import (
	"context"
	"errors"

	"github.com/rafka-io/rafka/internal/cluster/quorum"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

var (
	errClosed = errors.New("the controller is stopping")
	// errElsewhere: nothing of the request has happened or will, because this node does not decide.
	errElsewhere = errors.New("another broker decides, or none at present")
	// errUnknown: the request has happened or not, or may happen yet.
	errUnknown = errors.New("it is unknown whether the change has happened")
)

// isVoid reports whether nothing of a request has happened and nothing will, so that it may be decided anew (LOP-3).
func isVoid(err error) bool {
	return errors.Is(err, errElsewhere) || errors.Is(err, quorum.ErrStaleTerm) || errors.Is(err, quorum.ErrGuard)
}

// isDefinite reports whether the store has refused records for good, so that they are not committed.
func isDefinite(err error) bool {
	for _, e := range []error{quorum.ErrStaleTerm, quorum.ErrGuard, quorum.ErrTooLarge, metadata.ErrConflict, metadata.ErrUnknownRecord} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// explain gives an error the code that a client acts on: try again here, or look for the controller.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errUnknown) && kafka.CodeOf(err) != kafka.RequestTimedOut: // whatever code the way there has given it
	case errors.Is(err, errElsewhere) && kafka.CodeOf(err) != kafka.NotController:
	case kafka.CodeOf(err) != kafka.UnknownServerError:
		return err
	}
	switch {
	case errors.Is(err, errUnknown), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return kafka.Errorf(kafka.RequestTimedOut, "the change was not confirmed in time; look whether it has happened before trying again: %w", err)
	case isVoid(err), errors.Is(err, quorum.ErrClosed), errors.Is(err, errClosed):
		return kafka.Errorf(kafka.NotController, "this broker does not decide at present; try again: %w", err)
	case errors.Is(err, quorum.ErrTooLarge):
		return kafka.Errorf(kafka.PolicyViolation, "the request asks for too much at a time; split it: %w", err)
	case errors.Is(err, metadata.ErrConflict), errors.Is(err, metadata.ErrUnknownRecord):
		return err
	}
	return kafka.Errorf(kafka.KafkaStorageError, "the metadata could not be stored: %w", err)
}
