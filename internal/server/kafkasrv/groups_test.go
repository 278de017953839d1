package kafkasrv

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"reflect"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/broker"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/seed"
)

// saying opens a door whose broker answers requests about groups with what say returns.
func saying(t *testing.T, say func(q kmsg.Request) kmsg.Response) (*door, *client) {
	b := newFakeBroker("orders")
	b.say = func(_ context.Context, _ *broker.Session, q kmsg.Request) kmsg.Response { return say(q) }
	d := open(t, b, Options{})
	return d, d.dial(t)
}

// Of the APIs about groups and transactions, in every version, the verb gets what the client has sent, and the client gets what the verb has
// said, but for what the door puts elsewhere. (WIR-2)
func TestVerbsGetWhatWasSentAndSayWhatIsReceived(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	var asked, said []byte
	_, c := saying(t, func(q kmsg.Request) kmsg.Response {
		asked = q.AppendTo(nil)
		a := q.ResponseKind()
		fill(rng, reflect.ValueOf(a).Elem(), 0)
		forgetOperations(a)
		said = a.AppendTo(nil)
		return a
	})
	changed := map[int16]int16{9: 8, 10: 99, 11: 1, 13: 3, 15: 6, 24: 4} // up to below which version the door moves fields
	verbs := 0
	defer func() {
		if verbs != 35 {
			t.Errorf("%d APIs were looked at", verbs)
		}
	}()
	for _, a := range newAPITable().list {
		if !isVerb(a.key) {
			continue
		}
		verbs++
		for v := max(a.min, changed[a.key]); v <= a.max; v++ {
			for range 50 {
				q := kmsg.RequestForKey(a.key)
				fill(rng, reflect.ValueOf(q).Elem(), 0)
				q.SetVersion(v)
				if s, ok := q.(*kmsg.SyncGroupRequest); ok {
					s.Protocol, s.ProtocolType = kmsg.StringPtr("range"), kmsg.StringPtr("consumer")
				}
				sent := q.AppendTo(nil)
				resp := c.ask(q)
				forgetOperations(resp)
				if !bytes.Equal(asked, sent) {
					t.Fatalf("%s version %d: the verb got %x, sent was %x", a.name, v, asked, sent)
				}
				if got := resp.AppendTo(nil); !bytes.Equal(got, said) {
					t.Fatalf("%s version %d: received %x, said was %x", a.name, v, got, said)
				}
			}
		}
	}
}

// isVerb reports whether an API's verb takes messages.
func isVerb(key int16) bool {
	m, has := reflect.TypeFor[Broker]().MethodByName(kmsg.NameForKey(key))
	return has && m.Type.NumIn() == 3 && m.Type.In(2) == reflect.TypeOf(kmsg.RequestForKey(key))
}

// forgetOperations clears what the door fills in itself.
func forgetOperations(a kmsg.Response) {
	switch a := a.(type) {
	case *kmsg.DescribeGroupsResponse:
		for i := range a.Groups {
			a.Groups[i].AuthorizedOperations = 0
			if a.Groups[i].ErrorCode == int16(kafka.GroupIDNotFound) {
				a.Groups[i].State = "Dead"
			}
		}
	case *kmsg.ConsumerGroupDescribeResponse:
		for i := range a.Groups {
			a.Groups[i].AuthorizedOperations = 0
		}
	case *kmsg.ShareGroupDescribeResponse:
		for i := range a.Groups {
			a.Groups[i].AuthorizedOperations = 0
		}
	case *kmsg.StreamsGroupDescribeResponse:
		for i := range a.Groups {
			a.Groups[i].AuthorizedOperations = 0
		}
	case *kmsg.ShareFetchResponse:
		a.NodeEndpoints = nil
	case *kmsg.ShareAcknowledgeResponse:
		a.NodeEndpoints = nil
	}
}

// versions runs do for each version of an API.
func versions(t *testing.T, key int16, do func(t *testing.T, v int16)) {
	for _, a := range newAPITable().list {
		for v := a.min; v <= a.max && a.key == key; v++ {
			t.Run(fmt.Sprintf("%s-v%d", a.name, v), func(t *testing.T) { do(t, v) })
		}
	}
}

func TestOffsetFetchTellsOneGroupAsItsVersionDoes(t *testing.T) {
	versions(t, 9, func(t *testing.T, v int16) {
		if v >= 8 {
			return
		}
		code := kafka.None
		var asked []kmsg.OffsetFetchRequestGroup
		_, c := saying(t, func(q kmsg.Request) kmsg.Response {
			asked = q.(*kmsg.OffsetFetchRequest).Groups
			a := kmsg.NewPtrOffsetFetchResponse()
			g := kmsg.NewOffsetFetchResponseGroup()
			g.Group, g.ErrorCode = asked[0].Group, int16(code)
			if code == kafka.None {
				m := "meta"
				g.Topics = []kmsg.OffsetFetchResponseGroupTopic{{Topic: "orders", Partitions: []kmsg.OffsetFetchResponseGroupTopicPartition{{Partition: 1, Offset: 7, LeaderEpoch: 3, Metadata: &m, ErrorCode: 9}}}}
			}
			a.Groups = append(a.Groups, g)
			return a
		})
		q := kmsg.NewPtrOffsetFetchRequest()
		q.Version, q.Group = v, "g"
		q.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "orders", Partitions: []int32{1}}}
		a := c.ask(q).(*kmsg.OffsetFetchResponse)
		if p := a.Topics[0].Partitions[0]; a.ErrorCode != 0 || p.Partition != 1 || p.Offset != 7 || *p.Metadata != "meta" || p.ErrorCode != 9 || v >= 5 && p.LeaderEpoch != 3 {
			t.Errorf("%+v", a)
		}
		if len(asked) != 1 || asked[0].Group != "g" || asked[0].MemberID != nil || asked[0].MemberEpoch != -1 || len(asked[0].Topics) != 1 || asked[0].Topics[0].Topic != "orders" {
			t.Errorf("%+v", asked)
		}
		code = kafka.NotCoordinator
		a = c.ask(q).(*kmsg.OffsetFetchResponse)
		if v == 1 {
			if p := a.Topics[0].Partitions[0]; p.ErrorCode != int16(code) || p.Offset != -1 || *p.Metadata != "" {
				t.Errorf("%+v", a)
			}
		} else if a.ErrorCode != int16(code) || len(a.Topics) != 0 {
			t.Errorf("%+v", a)
		}
		if q.Topics = nil; v >= 2 {
			if c.ask(q); asked[0].Topics != nil {
				t.Errorf("null is all topics, not %v", asked[0].Topics)
			}
		}
		q.Topics = []kmsg.OffsetFetchRequestTopic{}
		if c.ask(q); asked[0].Topics == nil {
			t.Error("no topics are not all topics")
		}
	})
}

// A coordinator's address is the one that the client itself can reach, in every version; a coordinator that is not there has none.
func TestFindCoordinatorTellsTheAddress(t *testing.T) {
	versions(t, 10, func(t *testing.T, v int16) {
		d, c := saying(t, func(q kmsg.Request) kmsg.Response {
			a := kmsg.NewPtrFindCoordinatorResponse()
			for _, key := range q.(*kmsg.FindCoordinatorRequest).CoordinatorKeys {
				n := kmsg.NewFindCoordinatorResponseCoordinator()
				n.Key, n.NodeID = key, 1
				switch {
				case key == "elsewhere":
					n.NodeID = 9
				case q.(*kmsg.FindCoordinatorRequest).CoordinatorType == 2:
					n.ErrorCode = int16(kafka.CoordinatorLoadInProgress)
				case q.(*kmsg.FindCoordinatorRequest).CoordinatorType < 0:
					n.ErrorCode = int16(kafka.InvalidRequest)
				}
				a.Coordinators = append(a.Coordinators, n)
			}
			return a
		})
		for _, want := range []struct {
			key  string
			kind int8
			code kafka.ErrorCode
		}{{"g", 0, kafka.None}, {"elsewhere", 0, kafka.CoordinatorNotAvailable}, {"s", 2, kafka.CoordinatorLoadInProgress}} {
			if want.kind > 0 && v == 0 {
				continue
			}
			if want.kind == 2 && v < 6 {
				want.code = kafka.InvalidRequest
			}
			q := kmsg.NewPtrFindCoordinatorRequest()
			q.Version, q.CoordinatorKey, q.CoordinatorKeys, q.CoordinatorType = v, want.key, []string{want.key}, want.kind
			a := c.ask(q).(*kmsg.FindCoordinatorResponse)
			got := kmsg.FindCoordinatorResponseCoordinator{Key: want.key, NodeID: a.NodeID, Host: a.Host, Port: a.Port, ErrorCode: a.ErrorCode}
			if v >= 4 {
				got = a.Coordinators[0]
			}
			address := net.JoinHostPort(got.Host, fmt.Sprint(got.Port))
			if got.ErrorCode != int16(want.code) || want.code == 0 && (address != d.addr || got.NodeID != 1) || want.code != 0 && (address != ":-1" || got.NodeID != -1) {
				t.Errorf("%+v: %+v", want, got)
			}
		}
	})
}

func TestJoinGroupFillsWhatOldVersionsLack(t *testing.T) {
	versions(t, 11, func(t *testing.T, v int16) {
		var asked *kmsg.JoinGroupRequest
		_, c := saying(t, func(q kmsg.Request) kmsg.Response {
			asked = q.(*kmsg.JoinGroupRequest)
			a := kmsg.NewPtrJoinGroupResponse()
			a.ErrorCode, a.MemberID = int16(kafka.MemberIDRequired), "m-1"
			return a
		})
		q := kmsg.NewPtrJoinGroupRequest()
		q.Version, q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = v, 10, 20
		a := c.ask(q).(*kmsg.JoinGroupResponse)
		want := int32(20)
		if v == 0 {
			want = 10
		}
		if asked.RebalanceTimeoutMillis != want || asked.Version != v || a.ErrorCode != int16(kafka.MemberIDRequired) || a.Generation != -1 || a.MemberID != "m-1" {
			t.Errorf("%+v %+v", asked, a)
		}
	})
}

func TestSyncGroupWantsItsProtocolFromVersion5(t *testing.T) {
	versions(t, 14, func(t *testing.T, v int16) {
		_, c := saying(t, func(kmsg.Request) kmsg.Response { return nil })
		q := kmsg.NewPtrSyncGroupRequest()
		q.Version = v
		want := kafka.None
		if v >= 5 {
			want = kafka.InconsistentGroupProtocol
		}
		if a := c.ask(q).(*kmsg.SyncGroupResponse); a.ErrorCode != int16(want) {
			t.Errorf("%+v", a)
		}
	})
}

func TestLeaveGroupTellsTheOneMembersError(t *testing.T) {
	versions(t, 13, func(t *testing.T, v int16) {
		_, c := saying(t, func(q kmsg.Request) kmsg.Response {
			a := kmsg.NewPtrLeaveGroupResponse()
			for _, m := range q.(*kmsg.LeaveGroupRequest).Members {
				a.Members = append(a.Members, kmsg.LeaveGroupResponseMember{MemberID: m.MemberID, ErrorCode: int16(kafka.UnknownMemberID)})
			}
			return a
		})
		q := kmsg.NewPtrLeaveGroupRequest()
		q.Version, q.MemberID, q.Members = v, "m", []kmsg.LeaveGroupRequestMember{{MemberID: "a"}, {MemberID: "b"}}
		a := c.ask(q).(*kmsg.LeaveGroupResponse)
		if v < 3 && a.ErrorCode != int16(kafka.UnknownMemberID) || v >= 3 && (a.ErrorCode != 0 || len(a.Members) != 2) {
			t.Errorf("%+v", a)
		}
	})
}

// A group that is not there was a dead one before there was an error for it.
func TestDescribeGroupsTellsMissingGroupsAsItsVersionDoes(t *testing.T) {
	versions(t, 15, func(t *testing.T, v int16) {
		_, c := saying(t, func(kmsg.Request) kmsg.Response {
			a := kmsg.NewPtrDescribeGroupsResponse()
			here, gone := kmsg.NewDescribeGroupsResponseGroup(), kmsg.NewDescribeGroupsResponseGroup()
			here.Group, here.State, gone.Group = "here", "Stable", "gone"
			gone.ErrorCode, gone.ErrorMessage = codeAndMessage(kafka.Errorf(kafka.GroupIDNotFound, "there is no group gone"))
			a.Groups = append(a.Groups, here, gone)
			return a
		})
		q := kmsg.NewPtrDescribeGroupsRequest()
		q.Version, q.Groups, q.IncludeAuthorizedOperations = v, []string{"here", "gone"}, true
		a := c.ask(q).(*kmsg.DescribeGroupsResponse)
		want := kafka.None
		if v >= 6 {
			want = kafka.GroupIDNotFound
		}
		if g := a.Groups[1]; g.State != "Dead" || g.ErrorCode != int16(want) || (g.ErrorMessage != nil) != (v >= 6) {
			t.Errorf("%+v", g)
		}
		if g := a.Groups[0]; g.State != "Stable" || v >= 3 && g.AuthorizedOperations != groupOperations {
			t.Errorf("%+v", g)
		}
	})
}

func TestAddPartitionsToTxnTellsOneTransactionAsItsVersionDoes(t *testing.T) {
	versions(t, 24, func(t *testing.T, v int16) {
		if v >= 4 {
			return
		}
		var asked []kmsg.AddPartitionsToTxnRequestTransaction
		whole := kafka.None
		_, c := saying(t, func(q kmsg.Request) kmsg.Response {
			asked = q.(*kmsg.AddPartitionsToTxnRequest).Transactions
			a := kmsg.NewPtrAddPartitionsToTxnResponse()
			if a.ErrorCode = int16(whole); whole == 0 {
				a.Transactions = []kmsg.AddPartitionsToTxnResponseTransaction{{TransactionalID: "x", Topics: []kmsg.AddPartitionsToTxnResponseTransactionTopic{
					{Topic: "orders", Partitions: []kmsg.AddPartitionsToTxnResponseTransactionTopicPartition{{Partition: 1, ErrorCode: 55}}},
				}}}
			}
			return a
		})
		q := kmsg.NewPtrAddPartitionsToTxnRequest()
		q.Version, q.TransactionalID, q.ProducerID, q.ProducerEpoch = v, "x", 5, 2
		q.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: "orders", Partitions: []int32{1}}}
		a := c.ask(q).(*kmsg.AddPartitionsToTxnResponse)
		if len(a.Topics) != 1 || a.Topics[0].Topic != "orders" || a.Topics[0].Partitions[0].Partition != 1 || a.Topics[0].Partitions[0].ErrorCode != 55 {
			t.Errorf("%+v", a)
		}
		if got := asked[0]; len(asked) != 1 || got.TransactionalID != "x" || got.ProducerID != 5 || got.ProducerEpoch != 2 || got.VerifyOnly || got.Topics[0].Topic != "orders" || got.Topics[0].Partitions[0] != 1 {
			t.Errorf("%+v", asked)
		}
		whole = kafka.NotCoordinator
		if a := c.ask(q).(*kmsg.AddPartitionsToTxnResponse); a.Topics[0].Partitions[0].ErrorCode != int16(whole) {
			t.Errorf("%+v", a)
		}
	})
}

// Who asks the wrong broker for records of a share group is told the address of the right one in the same answer.
func TestShareAnswersTellTheLeader(t *testing.T) {
	d, c := saying(t, func(q kmsg.Request) kmsg.Response {
		fetch := kmsg.NewPtrShareFetchResponse()
		p := kmsg.NewShareFetchResponseTopicPartition()
		p.ErrorCode, p.CurrentLeader.LeaderID = int16(kafka.NotLeaderOrFollower), 2
		fetch.Topics = []kmsg.ShareFetchResponseTopic{{Partitions: []kmsg.ShareFetchResponseTopicPartition{p}}}
		if q.Key() == fetch.Key() {
			return fetch
		}
		ack := kmsg.NewPtrShareAcknowledgeResponse()
		ap := kmsg.NewShareAcknowledgeResponseTopicPartition()
		ap.ErrorCode, ap.CurrentLeader.LeaderID = int16(kafka.NotLeaderOrFollower), 2
		ack.Topics = []kmsg.ShareAcknowledgeResponseTopic{{Partitions: []kmsg.ShareAcknowledgeResponseTopicPartition{ap}}}
		return ack
	})
	d.broker.mu.Lock()
	d.broker.apply(&metadata.BrokerRecord{Broker: metadata.Broker{ID: 2, Epoch: 1, Endpoints: []metadata.Endpoint{{Listener: "", Host: "two", Port: 7}}}})
	d.broker.mu.Unlock()
	f := kmsg.NewPtrShareFetchRequest()
	f.Version = 1
	if a := c.ask(f).(*kmsg.ShareFetchResponse); len(a.NodeEndpoints) != 1 || a.NodeEndpoints[0].NodeID != 2 || a.NodeEndpoints[0].Host != "two" || a.NodeEndpoints[0].Port != 7 {
		t.Errorf("%+v", a)
	}
	q := kmsg.NewPtrShareAcknowledgeRequest()
	q.Version = 2
	if a := c.ask(q).(*kmsg.ShareAcknowledgeResponse); len(a.NodeEndpoints) != 1 || a.NodeEndpoints[0].Host != "two" {
		t.Errorf("%+v", a)
	}
}

// All requests of a connection about share groups come with one session, whatever the client calls itself; the broker is told when records
// were written, and when the connection has ended.
func TestShareSessionsAreConnections(t *testing.T) {
	b := newFakeBroker("orders")
	sessions := map[*broker.Session]int{}
	b.say = func(_ context.Context, s *broker.Session, _ kmsg.Request) kmsg.Response {
		b.mu.Lock()
		defer b.mu.Unlock()
		sessions[s]++
		return nil
	}
	d := open(t, b, Options{})
	c := d.dial(t)
	fetch, ack := kmsg.NewPtrShareFetchRequest(), kmsg.NewPtrShareAcknowledgeRequest()
	fetch.Version, ack.Version = 2, 2
	c.ask(fetch)
	c.ask(hello()) // says more of the client: a new session for other verbs
	c.ask(ack)
	c.ask(fetch)
	_ = c.nc.Close()
	for d.Stats().Open != 0 {
		runtime.Gosched()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(sessions) != 1 {
		t.Fatalf("%d sessions", len(sessions))
	}
	for s, n := range sessions {
		want := fmt.Sprintf("[written %p written %p closed %p]", s, s, s)
		if got := fmt.Sprint(b.asked); n != 3 || got != want {
			t.Errorf("%d requests, told %s, want %s", n, got, want)
		}
	}
}
