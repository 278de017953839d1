package broker

import "context"

// Await is the rest of a verb that may wait (BRK-3): Wait returns the answer when the effects are as durable and replicated as asked,
// or their time has run out, or ctx ended. Wait is called once at most, by any goroutine; an Await that nobody wants may be dropped.
type Await[R any] interface{ Wait(ctx context.Context) R }
