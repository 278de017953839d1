package app

import (
	"github.com/rafka-io/rafka/internal/config"
	"github.com/rafka-io/rafka/internal/storage"
	"github.com/rafka-io/rafka/internal/storage/memlog"
	"github.com/rafka-io/rafka/internal/storage/seglog"
	"github.com/rafka-io/rafka/internal/vfs"
)

// openEngine opens the storage engine that the configuration names (rafka.storage.engine).
func openEngine(o Options) (storage.Engine, error) {
	st := o.Static
	if o.Ephemeral || st.String("rafka.storage.engine") == "memlog" {
		if o.Ephemeral {
			return memlog.Open(memlog.Options{})
		}
		return memlog.Open(memlog.Options{Dir: st.LogDirs()[0], FS: vfs.OS()})
	}
	return seglog.Open(vfs.OS(), st.LogDirs(), seglog.Options{
		Buffered: st.String("rafka.log.io") == "buffered", TrustDisk: !st.Bool("rafka.log.verify.reads"), HotBytes: st.Int("rafka.log.hot.bytes"),
		HotLeast: hotLeast(st), JournalBytes: st.Int("rafka.log.journal.bytes"), Logger: o.Logger,
	})
}

// unreadHot is how much memory for what is in files already is filled in any case, if nobody has said how much there is for that.
const unreadHot = 64 << 20

// hotLeast is how much memory is filled with what nobody may ever read: all that somebody has set aside for it, else little.
func hotLeast(st *config.Static) int64 {
	most := st.Int("rafka.log.hot.bytes")
	if _, _, set := st.Set("rafka.log.hot.bytes"); set {
		return most
	}
	return min(unreadHot, most)
}
