package seglog

import (
	"errors"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/storage"
)

// rotten tells the owner of damage that was met at an offset, if err is damage, and returns err. The log stays in use: what is not damaged can be read,
// and the owner may mend the rest. No lock is held.
func (l *Log) rotten(at kafka.Offset, err error) error {
	if !errors.Is(err, storage.ErrDamaged) {
		return err
	}
	l.mu.Lock()
	tell := l.cfg.OnRot
	l.mu.Unlock()
	if tell != nil {
		tell(at, err)
	}
	return err
}
