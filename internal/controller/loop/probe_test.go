package loop

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/rafka-io/rafka/internal/kafka"
)

// dialled answers one probe after the other.
type dialled struct {
	Peers
	answers []error
}

func (d *dialled) Probe(context.Context, kafka.BrokerID) error {
	err := d.answers[0]
	if len(d.answers) > 1 {
		d.answers = d.answers[1:]
	}
	return err
}

// LOP-7: a process is gone when it refuses twice in a row, also if the system lets it be dialled for a moment after its end; not if it answers.
func TestWhoIsGoneRefusesTwice(t *testing.T) {
	refused, reset := fmt.Errorf("dial: %w", syscall.ECONNREFUSED), fmt.Errorf("read: %w", syscall.ECONNRESET)
	for _, c := range []struct {
		answers []error
		gone    bool
	}{
		{[]error{refused}, true},
		{[]error{reset, reset, refused, refused}, true},
		{[]error{refused, reset, refused, refused}, true},
		{[]error{refused, nil}, false},
		{[]error{nil}, false},
		{[]error{reset}, false},
		{[]error{errors.New("no route"), refused, nil}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := New(Options{Peers: &dialled{answers: c.answers}})
			defer l.Close()
			if got := l.isGone(2); got != c.gone {
				t.Errorf("%v: gone %v", c.answers, got)
			}
		})
	}
}
