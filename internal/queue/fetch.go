package queue

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/coordinator/share"
	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
	"github.com/rafka-io/rafka/internal/partition"
)

// maxWait bounds how long a fetch waits, whatever it asks for: clients ask for half a second.
const maxWait = time.Minute

// maxMemberID is the longest member id, as in Kafka.
const maxMemberID = 36

// ShareFetch acknowledges what the request acknowledges, gives the member records to hold, and waits for some as long as asked. The answer's
// records are its own. owner is the connection.
//
// The answer has partitions with records, with an error, or with acknowledgements. Codes for the whole: InvalidRequest, ShareSessionNotFound,
// InvalidShareSessionEpoch, ShareSessionLimitReached. For a partition: UnknownTopicID, UnknownTopicOrPartition, NotLeaderOrFollower (with the
// leader), KafkaStorageError. For its acknowledgements: those of ShareAcknowledge.
func (m *Manager) ShareFetch(ctx context.Context, owner Owner, req *kmsg.ShareFetchRequest) *kmsg.ShareFetchResponse {
	m.stats.ShareFetches.Add(1)
	m.answers.written(owner) // who asks again has been answered
	resp := kmsg.NewPtrShareFetchResponse()
	resp.Version = req.Version
	img := m.opts.Image()
	acks := ackPartitionsOf(req)
	f, err := m.openFetch(img, owner, req, len(acks) > 0)
	if err != nil {
		if kafka.CodeOf(err) == kafka.ShareSessionLimitReached {
			m.stats.SessionsRefused.Add(1)
			pause(ctx, f.wait) // so that who is refused does not ask at once again
		}
		resp.ErrorCode, resp.ErrorMessage = codeAndMessage(err)
		return resp
	}
	resp.AcquisitionLockTimeoutMillis = f.lockMs
	m.acknowledge(f.key, acks, renews(req.Version, req.IsRenewAck))
	if !f.isFinal && !f.renewsOnly {
		f.run(ctx)
	}
	await(ctx, acks)
	switch {
	case f.isFinal:
		m.endSession(f.key)
	case !m.sessions.isOpen(f.session): // it ended while this waited: nobody would give back what was taken
		f.giveBack()
		resp.ErrorCode, resp.ErrorMessage = codeAndMessage(errNoSession)
		return resp
	}
	m.count(acks)
	f.fill(resp, acks)
	m.answers.hold(owner, f.bytes())
	return resp
}

// fetch is a ShareFetch under way.
type fetch struct {
	m          *Manager
	key        memberKey
	session    *session
	lockMs     int32
	isFinal    bool // the session ends with this request
	renewsOnly bool
	wait       time.Duration
	minBytes   int
	maxBytes   int
	records    int // how many to acquire
	whole      bool
	batchSize  int
	slots      []slot

	waiter  *waiter
	data    *partition.FetchWaiter
	freed   <-chan struct{} // not nil: there is no room; closed when there may be some
	missing int             // bytes that have to come before it is worth looking again
	absent  bool            // some share partition could not be loaded yet
	again   bool            // there may be more without waiting
}

// slot is one partition of a fetch.
type slot struct {
	tp    TopicPartition
	sp    *sharePartition // nil: not found yet
	place place
	err   error
	seen  partition.Read // before anything was looked for; FetchWaiter.Await compares
	saw   bool
	upto  kafka.Offset // the end of what could be given then
	taken taken
}

// giveBack releases what was taken.
func (f *fetch) giveBack() {
	f.m.room.add(-f.bytes())
	for i := range f.slots {
		if s := &f.slots[i]; len(s.taken.ranges) > 0 {
			acks := make([]share.Ack, len(s.taken.ranges))
			for j, r := range s.taken.ranges {
				acks[j] = share.Ack{First: r.First, Last: r.Last, Types: []int8{share.AckRelease}}
			}
			_, _ = s.sp.acknowledge(f.key.member, acks) // refused: given back already
			s.sp.forgetUnused()
		}
	}
}

// openFetch checks the request and opens or continues the session.
func (m *Manager) openFetch(img *metadata.Image, owner Owner, req *kmsg.ShareFetchRequest, acknowledges bool) (*fetch, error) {
	f := &fetch{
		m: m, wait: min(max(time.Duration(req.MaxWaitMillis)*time.Millisecond, 0), maxWait),
		minBytes: int(req.MinBytes), maxBytes: min(int(req.MaxBytes), m.opts.FetchMaxBytes),
		records: int(req.MaxRecords), whole: req.ShareAcquireMode == 0, batchSize: int(req.BatchSize),
		renewsOnly: req.Version >= 2 && req.IsRenewAck,
	}
	var err error
	if f.key, err = memberOf(req.GroupID, req.MemberID); err != nil {
		return f, err
	}
	switch {
	case f.renewsOnly && (req.MaxBytes != 0 || req.MinBytes != 0 || req.MaxRecords != 0 || req.MaxWaitMillis != 0):
		return f, kafka.Errorf(kafka.InvalidRequest, "a request that renews locks fetches nothing: max bytes, min bytes, max records and max wait must be 0")
	case req.ShareSessionEpoch == initialEpoch && acknowledges:
		return f, kafka.Errorf(kafka.InvalidRequest, "the first request of a share session has nothing to acknowledge")
	}
	var add, forget []TopicPartition
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			add = append(add, TopicPartition{req.Topics[i].TopicID, req.Topics[i].Partitions[j].Partition})
		}
	}
	for i := range req.ForgottenTopicsData {
		for _, p := range req.ForgottenTopicsData[i].Partitions {
			forget = append(forget, TopicPartition{req.ForgottenTopicsData[i].TopicID, p})
		}
	}
	session, err := m.sessions.fetch(f.key, owner, req.ShareSessionEpoch, add, forget, m.sessionLimit(img))
	if err != nil {
		return f, err
	}
	f.session, f.isFinal = session.session, session.isFinal
	f.lockMs = int32(m.opts.Settings.Group(img, f.key.group).Share.LockDuration.Milliseconds())
	n := len(session.partitions)
	f.slots = make([]slot, n)
	for i := range f.slots { // each request of a session begins with another partition, so that none is starved
		f.slots[i].tp = session.partitions[(i+int(session.epoch))%n]
	}
	return f, nil
}

// memberOf checks the names in a request.
func memberOf(group, member *string) (memberKey, error) {
	switch {
	case group == nil || *group == "":
		return memberKey{}, kafka.Errorf(kafka.InvalidRequest, "Invalid group id in the request.")
	case member == nil || *member == "" || len(*member) > maxMemberID:
		return memberKey{}, kafka.Errorf(kafka.InvalidRequest, "Invalid member id in the request.")
	}
	return memberKey{*group, *member}, nil
}

// codeAndMessage is an error as answers have it.
func codeAndMessage(err error) (int16, *string) {
	code := int16(kafka.CodeOf(err))
	if text := kafka.MessageOf(err); text != "" {
		return code, &text
	}
	return code, nil
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
