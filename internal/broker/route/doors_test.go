package route_test

import (
	"github.com/rafka-io/rafka/internal/broker/route"
	"github.com/rafka-io/rafka/internal/queue"
	"github.com/rafka-io/rafka/internal/server/grpcsrv"
	"github.com/rafka-io/rafka/internal/server/textsrv"
)

// The doors take these verbs in the place of a broker's.
var (
	_ textsrv.Verbs = (*route.Verbs)(nil)
	_ grpcsrv.Verbs = (*route.Verbs)(nil)
	_ route.States  = (*queue.ClusterStates)(nil)
)
