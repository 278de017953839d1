package txn

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator"
	"github.com/rafka-io/rafka/internal/kafka"
)

// DescribeTransaction describes what is committed of one transactional id. Answers: INVALID_REQUEST, TRANSACTIONAL_ID_NOT_FOUND.
func (s *Shard) DescribeTransaction(v coordinator.View, id string) kmsg.DescribeTransactionsResponseTransactionState {
	a := kmsg.NewDescribeTransactionsResponseTransactionState()
	a.TransactionalID = id
	if id == "" {
		a.ErrorCode = int16(kafka.InvalidRequest)
		return a
	}
	t, ok := s.txns.GetAt(id, v.Committed)
	if !ok {
		a.ErrorCode = int16(kafka.TransactionalIDNotFound)
		return a
	}
	a.State, a.TimeoutMillis, a.StartTimestamp = t.State.String(), t.Timeout, int64(t.Started)
	a.ProducerID, a.ProducerEpoch = int64(t.ProducerID), int16(t.Epoch)
	for i, tp := range t.Partitions {
		if i == 0 || tp.Topic != t.Partitions[i-1].Topic {
			topic := kmsg.NewDescribeTransactionsResponseTransactionStateTopic()
			topic.Topic = tp.Topic
			a.Topics = append(a.Topics, topic)
		}
		last := &a.Topics[len(a.Topics)-1]
		last.Partitions = append(last.Partitions, tp.Partition)
	}
	return a
}

// Filter is what ListTransactions asks for.
type Filter struct {
	// UnknownStates are those asked for that do not exist.
	UnknownStates []string

	states    uint8
	anyState  bool
	producers []int64
	longer    time.Duration // open for longer than this; negative: however long
	pattern   *regexp.Regexp
}

// maxPattern bounds the length of a pattern.
const maxPattern = 1000

// NewFilter reads a request. Errors: InvalidRegularExpression.
func NewFilter(req *kmsg.ListTransactionsRequest) (*Filter, error) {
	f := &Filter{producers: req.ProducerIDFilters, anyState: len(req.StateFilters) == 0, longer: -1}
	for _, name := range req.StateFilters {
		if s, ok := stateNamed(name); ok {
			f.states |= bits(s)
		} else {
			f.UnknownStates = append(f.UnknownStates, name)
		}
	}
	if ms := req.DurationFilterMillis; ms >= 0 {
		f.longer = time.Duration(min(ms, int64(time.Duration(1<<63-1)/time.Millisecond))) * time.Millisecond
	}
	if p := req.TransactionalIDPattern; p != nil && *p != "" {
		if len(*p) > maxPattern {
			return nil, kafka.Errorf(kafka.InvalidRegularExpression, "the pattern has %d bytes, the most is %d", len(*p), maxPattern)
		}
		// By itself first: a bracket too many must not close the group.
		_, err := regexp.Compile(*p)
		if err == nil {
			f.pattern, err = regexp.Compile(`\A(?:` + *p + `)\z`)
		}
		if err != nil {
			return nil, kafka.Errorf(kafka.InvalidRegularExpression, "the pattern for transactional ids is no regular expression: %w", err)
		}
	}
	return f, nil
}

// ListTransactions lists what is committed of the ids that a filter lets through, by id.
func (s *Shard) ListTransactions(v coordinator.View, f *Filter) []kmsg.ListTransactionsResponseTransactionState {
	var list []kmsg.ListTransactionsResponseTransactionState
	for id, t := range s.txns.AllAt(v.Committed) {
		if !f.admits(id, t, v.Now) {
			continue
		}
		a := kmsg.NewListTransactionsResponseTransactionState()
		a.TransactionalID, a.ProducerID, a.TransactionState = id, int64(t.ProducerID), t.State.String()
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b kmsg.ListTransactionsResponseTransactionState) int {
		return strings.Compare(a.TransactionalID, b.TransactionalID)
	})
	return list
}

func (f *Filter) admits(id string, t *Transaction, now time.Time) bool {
	switch {
	case !f.anyState && f.states&bits(t.State) == 0:
		return false
	case len(f.producers) > 0 && !slices.Contains(f.producers, int64(t.ProducerID)):
		return false
	case f.longer >= 0 && (t.Started == kafka.NoTimestamp || now.Sub(time.UnixMilli(int64(t.Started))) <= f.longer):
		return false
	}
	return f.pattern == nil || f.pattern.MatchString(id)
}
