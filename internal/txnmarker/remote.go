package txnmarker

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
)

// Peers asks other brokers. An answer must not have to wait for that of an earlier request to the same broker, which may wait for replicas.
type Peers interface {
	Kafka(ctx context.Context, broker kafka.BrokerID, q kmsg.Request) (kmsg.Response, error)
}

const (
	// markersVersion is that of the requests: from 2 on a marker says of which transaction version its producer is.
	markersVersion = 2
	// remoteTimeout is how long a broker may take for one batch. One that is frozen or cut off takes for ever, while its partitions soon have
	// other leaders; a marker that is sent twice does nothing.
	remoteTimeout = 5 * time.Second
)

// Remote writes markers to the partitions that another broker leads, by WriteTxnMarkers; Broker.WriteTxnMarkers takes them there.
type Remote struct {
	Broker kafka.BrokerID
	Peers  Peers
}

var _ Writer = (*Remote)(nil)

// Write implements Writer. A partition of which the answer says nothing counts as not reached.
//
// Errors per partition: those of Local.Write on that broker, and NetworkException when it cannot be reached or does not answer in time. All of
// them make the Sender look again at who leads the partition, and try there.
func (r *Remote) Write(ctx context.Context, markers []Marker) [][]error {
	q := kmsg.NewPtrWriteTxnMarkersRequest()
	q.Version = markersVersion
	for i := range markers {
		if len(markers[i].Partitions) > 0 {
			q.Markers = append(q.Markers, wireMarker(&markers[i]))
		}
	}
	results := make([][]error, len(markers))
	if len(q.Markers) == 0 {
		return results
	}
	asked, cancel := context.WithTimeout(ctx, remoteTimeout)
	defer cancel()
	resp, err := r.Peers.Kafka(asked, r.Broker, q)
	a, ok := resp.(*kmsg.WriteTxnMarkersResponse)
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case err != nil:
		err = kafka.Errorf(kafka.NetworkException, "broker %d was not reached with markers of transactions: %w", r.Broker, err)
	case !ok || len(a.Markers) != len(q.Markers):
		err = kafka.Errorf(kafka.NetworkException, "broker %d did not answer what it was asked about markers of transactions", r.Broker)
	}
	next := 0
	for i := range markers {
		m := &markers[i]
		switch {
		case len(m.Partitions) == 0:
		case err != nil:
			results[i] = repeated(err, len(m.Partitions))
		default:
			results[i] = readAnswer(r.Broker, m, &a.Markers[next])
			next++
		}
	}
	return results
}

// wireMarker is a marker with its partitions by topic. The order is kept within a topic.
func wireMarker(m *Marker) kmsg.WriteTxnMarkersRequestMarker {
	w := kmsg.NewWriteTxnMarkersRequestMarker()
	w.ProducerID, w.ProducerEpoch, w.Committed = int64(m.Producer.ID), int16(m.Producer.Epoch), m.Commit
	w.CoordinatorEpoch, w.TransactionVersion = m.CoordinatorEpoch, int8(m.Version)
	at := map[string]int{}
	for _, tp := range m.Partitions {
		i, ok := at[tp.Topic]
		if !ok {
			i = len(w.Topics)
			at[tp.Topic] = i
			t := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
			t.Topic = tp.Topic
			w.Topics = append(w.Topics, t)
		}
		w.Topics[i].Partitions = append(w.Topics[i].Partitions, tp.Partition)
	}
	return w
}

// readAnswer is what became of the partitions of m.
func readAnswer(broker kafka.BrokerID, m *Marker, a *kmsg.WriteTxnMarkersResponseMarker) []error {
	codes := map[kafka.TopicPartition]kafka.ErrorCode{}
	if a.ProducerID == int64(m.Producer.ID) {
		for i := range a.Topics {
			for _, p := range a.Topics[i].Partitions {
				codes[kafka.TopicPartition{Topic: a.Topics[i].Topic, Partition: p.Partition}] = kafka.ErrorCode(p.ErrorCode)
			}
		}
	}
	errs := make([]error, len(m.Partitions))
	for i, tp := range m.Partitions {
		switch code, ok := codes[tp]; {
		case !ok:
			errs[i] = kafka.Errorf(kafka.NetworkException, "broker %d did not say whether %s has its marker", broker, tp)
		case code != kafka.None:
			errs[i] = kafka.Errorf(code, "broker %d could not write the marker to %s: %w", broker, tp, code)
		}
	}
	return errs
}

func repeated(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// Writers is what Options.Writer wants in a cluster: local writes on this node, and the other brokers are asked. A broker that is gone is asked
// no more, for nothing is led there; what is kept of it is a few bytes.
func Writers(node kafka.BrokerID, local Writer, peers Peers) func(kafka.BrokerID) Writer {
	var remotes sync.Map // of *Remote, by broker
	return func(broker kafka.BrokerID) Writer {
		if broker == node {
			return local
		}
		if w, ok := remotes.Load(broker); ok {
			return w.(*Remote)
		}
		w, _ := remotes.LoadOrStore(broker, &Remote{Broker: broker, Peers: peers})
		return w.(*Remote)
	}
}
