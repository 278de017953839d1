package main

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A member outlives its coordinator, and ends with what no waiting mends.
func TestWhatPassesForAMemberOfAGroup(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&kgo.ErrGroupSession{Err: refused}, true},
		{&kgo.ErrGroupSession{Err: io.EOF}, true},
		{&kgo.ErrGroupSession{Err: kerr.CoordinatorNotAvailable}, true},
		{&kgo.ErrGroupSession{Err: kerr.GroupAuthorizationFailed}, false},
		{&kgo.ErrGroupSession{Err: kerr.InconsistentGroupProtocol}, false},
		{kerr.CoordinatorNotAvailable, false}, // of a partition
		{errors.New("anything"), false},
	} {
		if got := passes(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}
