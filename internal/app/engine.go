package app

import (
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
		JournalBytes: st.Int("rafka.log.journal.bytes"), Logger: o.Logger,
	})
}
