package peer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/rafka-io/rafka/internal/kafka"
)

// failureOf is what travels of a handler's error: the code and the message of the first *kafka.Error or code in its chain, else
// REQUEST_TIMED_OUT where a context ended and UNKNOWN_SERVER_ERROR otherwise, with the error's text.
func failureOf(err error) (kafka.ErrorCode, string) {
	code, message := kafka.CodeOf(err), kafka.MessageOf(err)
	if message == "" {
		message = err.Error()
	}
	if code == kafka.UnknownServerError && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		code = kafka.RequestTimedOut
	}
	return code, message
}

// ended is the error of a wait that ctx ended. What was asked for may be done or not.
func ended(ctx context.Context, what string) error {
	return kafka.Errorf(kafka.RequestTimedOut, "%s: %w", what, ctx.Err())
}

// broken is the error of what was asked over a connection that broke: it may be done or not.
func broken(what string, err error) error {
	return kafka.Errorf(kafka.NetworkException, "%s: %w", what, err)
}

// notAsked is the error of what was not asked, because the connection had broken before.
func notAsked(what string, err error) error {
	return kafka.Errorf(kafka.BrokerNotAvailable, "%s: %w", what, err)
}

var (
	errClosed      = errors.New("the connection was closed here")
	errPeersClosed = kafka.Errorf(kafka.BrokerNotAvailable, "this broker is stopping and connects to no other")
	errSilent      = errors.New("the other side said nothing for too long")
)

// wsaRefused is what Windows says for ECONNREFUSED; no other system uses the number.
const wsaRefused = syscall.Errno(10061)

func isRefused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, wsaRefused)
}

// dialError says why none of a broker's addresses could be reached. It is syscall.ECONNREFUSED only if all of them refused: one
// refusal means little while another address keeps silent.
type dialError struct {
	text    string
	refused bool
}

func (e *dialError) Error() string { return e.text }

func (e *dialError) Is(target error) bool { return e.refused && target == syscall.ECONNREFUSED }

// dialFailed joins what came of each address into one error: nothing was asked of anybody.
func dialFailed(whom string, failed []outcome) error {
	code, refused := kafka.BrokerNotAvailable, true
	var text strings.Builder
	for i, o := range failed {
		if i > 0 {
			text.WriteString("; ")
		}
		fmt.Fprintf(&text, "%s: %v", o.addr, o.err)
		refused = refused && isRefused(o.err)
		if c := kafka.CodeOf(o.err); c == kafka.InconsistentClusterID || c == kafka.UnsupportedVersion {
			code = c
		}
	}
	return kafka.Errorf(code, "cannot connect to %s: %w", whom, &dialError{text: text.String(), refused: refused})
}
