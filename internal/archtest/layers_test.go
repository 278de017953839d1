package archtest

import "strings"

// A layer is a row of DESIGN §4: its packages may import those of the rows above it in this list, and not each other.
type layer struct {
	name     string
	packages []string // paths inside the module; "." is the root. A package below a listed one belongs to its layer.
}

// layers, lowest first. A package may be added to a row, or get a row of its own, in the commit that adds the package.
var layers = []layer{
	{"words", []string{"internal/kafka", "internal/invariant", "internal/seed", "internal/leaktest", "internal/porttest", "hooks", "console", "api"}},
	{"bytes", []string{"internal/record", "internal/wire", "internal/vfs", "internal/object", "internal/timeline", "internal/event", "internal/config"}},
	{"facts", []string{"internal/metadata"}},
	{"store", []string{"internal/storage"}},
	{"store tools", []string{"internal/storage/compact", "internal/storage/logtest"}},
	{"engines", []string{"internal/storage/seglog", "internal/storage/memlog", "internal/storage/pebblelog", "internal/storage/objectlog", "internal/storage/tier"}},
	{"policy", []string{"internal/isr", "internal/digest", "internal/auth", "internal/quota", "internal/hookrun", "internal/schema"}},
	{"replica", []string{"internal/partition"}},
	{"links", []string{"internal/cluster/peer", "internal/cluster/mesh", "internal/cluster/lanes", "internal/cluster/join"}},
	{"hosts", []string{"internal/cluster/quorum", "internal/replica", "internal/coordinator"}},
	{"decide", []string{"internal/cluster/seats", "internal/controller", "internal/coordinator/group", "internal/coordinator/share", "internal/coordinator/txn", "internal/coordinator/registry"}},
	{"decide loop", []string{"internal/controller/loop"}},
	{"queues", []string{"internal/queue", "internal/txnmarker"}},
	{"verbs", []string{"internal/broker"}},
	{"routes", []string{"internal/broker/route"}},
	{"doors", []string{"internal/server/listen", "internal/server/kafkasrv", "internal/server/grpcsrv", "internal/server/textsrv", "internal/server/httpsrv"}},
	{"wiring", []string{"internal/app"}},
	{"program", []string{"."}},
	{"clients", []string{"client", "streams", "rafkatest"}},
	{"command", []string{"cmd/rafka", "connect"}},
	{"checks", []string{"internal/archtest", "internal/sim", "internal/testbin", "test", "examples", "script", "deploy"}},
}

// outside are packages that live by the public protocol alone (ARC-2).
var outside = []string{"client", "streams", "connect", "api", "hooks", "console", "examples"}

// outsideMayUse is what they may import of internal.
var outsideMayUse = []string{"internal/kafka", "internal/record", "internal/wire"}

// pure packages decide or translate: (state, input, now) in, (records, answer) out (ARC-3).
var pure = []string{
	"internal/record", "internal/isr", "internal/digest", "internal/controller", "internal/schema", "internal/storage/compact",
	"internal/coordinator/group", "internal/coordinator/share", "internal/coordinator/txn", "internal/coordinator/registry",
}

// notPure lie below a pure package and are the shell around it.
var notPure = []string{"internal/controller/loop"}

// mayTouchFiles says who in internal may call the file functions of os, and why (ARC-4).
var mayTouchFiles = map[string]string{
	"internal/vfs": "it is the door to files",
}

// engines are the concrete storage engines, and mayNameEngines who imports them besides tests, and why (ARC-5).
var (
	engines        = []string{"internal/storage/seglog", "internal/storage/memlog", "internal/storage/pebblelog", "internal/storage/objectlog", "internal/storage/tier"}
	mayNameEngines = map[string]string{
		"internal/app": "it wires the broker together",
	}
)

// layerOf finds the layer of a package: the row that lists it, or the row of the nearest listed package above it.
func layerOf(path string) (rank int, listed string, ok bool) {
	for i, l := range layers {
		for _, p := range l.packages {
			if (path == p || isBelow(path, p)) && (!ok || len(p) > len(listed)) {
				rank, listed, ok = i, p, true
			}
		}
	}
	return rank, listed, ok
}

// isBelow reports whether path lies below dir in the tree. Nothing lies below the root: its children have rows of their own.
func isBelow(path, dir string) bool { return strings.HasPrefix(path, dir+"/") }

// within reports whether path is one of dirs or lies below one.
func within(path string, dirs []string) bool {
	for _, d := range dirs {
		if path == d || isBelow(path, d) {
			return true
		}
	}
	return false
}
