package quorum

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// askPause is the time between two tries of one question.
const askPause = 50 * time.Millisecond

// tryTimeout bounds one try, so that a voter that has frozen does not keep a question from being asked of another. An election fits
// into it.
func (c *Cluster) tryTimeout() time.Duration { return time.Second + 2*c.opts.election() }

// ask does something that may be done twice, again and again while it fails for a reason that may pass.
func (c *Cluster) ask(ctx context.Context, try func(context.Context) error) error {
	for {
		err := c.once(ctx, try)
		switch {
		case err == nil:
			return nil
		case c.ctx.Err() != nil:
			return c.endedWith()
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case !passing(err):
			return err
		}
		if err := c.pause(ctx, askPause); err != nil {
			return err
		}
	}
}

// once tries within tryTimeout and the life of the store, whose end waits for it: etcd's database must not close under its hands.
func (c *Cluster) once(ctx context.Context, try func(context.Context) error) error {
	c.asking.RLock()
	defer c.asking.RUnlock()
	if c.ctx.Err() != nil {
		return c.endedWith()
	}
	ctx, cancel := context.WithTimeout(ctx, c.tryTimeout())
	defer cancel()
	stop := context.AfterFunc(c.ctx, cancel)
	defer stop()
	return try(ctx)
}

// lasting are errors that stay when the same is asked again.
var lasting = []error{
	ErrIDTaken, ErrNotEmpty,
	rpctypes.ErrTooManyOps, rpctypes.ErrRequestTooLarge, rpctypes.ErrNoSpace, rpctypes.ErrCompacted, rpctypes.ErrFutureRev, rpctypes.ErrMemberNotFound,
	rpctypes.ErrMemberExist, rpctypes.ErrPeerURLExist, rpctypes.ErrMemberBadURLs, rpctypes.ErrMemberNotLearner, rpctypes.ErrTooManyLearners, rpctypes.ErrCorrupt,
}

// passing reports whether an error may be gone when the same is asked again. So it is by default: voters come and go, and who asks
// has a deadline.
func passing(err error) bool {
	for _, l := range lasting {
		if errors.Is(err, l) {
			return false
		}
	}
	return !fatal(err)
}
