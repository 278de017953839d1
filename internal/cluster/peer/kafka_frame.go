package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/wire"
)

const (
	// maxKafkaFrame is the largest answer in bytes: what a fetch may bring, with one batch that is larger than it asked for.
	maxKafkaFrame = 256 << 20
	// requestTimeout is how long an answer may keep silent, besides the time that the request itself allows for.
	requestTimeout = 10 * time.Second
	// longestAllowance is the most that a request can allow for.
	longestAllowance = 10 * time.Minute
)

// errAnswer says that bytes are no answer to what was asked.
var errAnswer = errors.New("malformed answer")

const (
	fetchKey       = 1
	apiVersionsKey = 18
)

// formatter writes request frames whose client id names this node to the others' logs and quotas.
func formatter(self identity) *kmsg.RequestFormatter {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("rafka-" + strconv.Itoa(int(self.node))))
}

// requestName is what errors say was asked.
func requestName(q kmsg.Request, to kafka.BrokerID) string {
	return kmsg.NameForKey(q.Key()) + " to " + whom(to)
}

// setCorrelation changes the correlation id of a request frame.
func setCorrelation(frame []byte, correlation int32) {
	binary.BigEndian.PutUint32(frame[8:], uint32(correlation))
}

// checkRequest refuses what cannot be asked.
func checkRequest(q kmsg.Request) error {
	if v := q.GetVersion(); v < 0 || v > q.MaxVersion() {
		return kafka.Errorf(kafka.UnsupportedVersion, "%s has no version %d", kmsg.NameForKey(q.Key()), v)
	}
	if p, ok := q.(*kmsg.ProduceRequest); ok && p.Acks == 0 {
		return kafka.Errorf(kafka.InvalidRequiredAcks, "a produce request that is not answered cannot be sent to another broker")
	}
	return nil
}

// allowance is how long the first byte of the answer may take: the request's own time and requestTimeout.
func allowance(q kmsg.Request) time.Duration {
	var millis int32
	switch q := q.(type) {
	case *kmsg.FetchRequest:
		millis = q.MaxWaitMillis
	case *kmsg.ShareFetchRequest:
		millis = q.MaxWaitMillis
	case kmsg.TimeoutRequest:
		millis = q.Timeout()
	}
	return min(time.Duration(max(millis, 0))*time.Millisecond+requestTimeout, longestAllowance)
}

// checkSize checks the length in front of an answer.
func checkSize(length [4]byte) (int, error) {
	n := binary.BigEndian.Uint32(length[:])
	if n < 4 || n > maxKafkaFrame {
		return 0, fmt.Errorf("%w: it claims %d bytes, allowed are 4 to %d", errAnswer, n, maxKafkaFrame)
	}
	return int(n), nil
}

// answerBody checks the header of an answer and returns what follows it.
func answerBody(frame []byte, q kmsg.Request, correlation int32) ([]byte, error) {
	r := wire.NewReader(frame)
	if got := r.Int32(); got != correlation {
		return nil, fmt.Errorf("%w: it is for request %d, expected was %d", errAnswer, got, correlation)
	}
	if q.IsFlexible() && q.Key() != apiVersionsKey {
		r.SkipTags()
	}
	return r.Rest(), r.Err()
}

// readAnswer decodes an answer. Its bytes fields alias the frame; strings are copied.
func readAnswer(frame []byte, q kmsg.Request, correlation int32) (kmsg.Response, error) {
	body, err := answerBody(frame, q, correlation)
	if err != nil {
		return nil, err
	}
	if q.Key() == fetchKey {
		if _, err := fetchShape.Walk(body, q.GetVersion(), q.IsFlexible()); err != nil {
			return nil, fmt.Errorf("%w: %w", errAnswer, err)
		}
	}
	a := q.ResponseKind()
	if err := a.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("%w: %w", errAnswer, err)
	}
	return a, nil
}

// fetchShape is how the answer to a Fetch is laid out, so that its elements are counted before memory is reserved for them.
var fetchShape = wire.Shape{
	wire.Fixed(4).Since(1), // throttle
	wire.Fixed(2).Since(7), // error
	wire.Fixed(4).Since(7), // session
	wire.Array(
		wire.Text().Until(12), wire.Fixed(16).Since(13), // topic
		wire.Array(
			wire.Fixed(4), wire.Fixed(2), // partition, error
			wire.Fixed(8), wire.Fixed(8).Since(4), wire.Fixed(8).Since(5), // high watermark, last stable offset, log start
			wire.Array(wire.Fixed(8), wire.Fixed(8)).Since(4), // aborted transactions
			wire.Fixed(4).Since(11),                           // preferred replica
			wire.Bytes(),                                      // records
		),
	),
}
