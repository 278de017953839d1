package quorum

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// The keys in etcd. Values are frames (frame.go), but for the chunks of a snapshot, which are cut from one, and for those of brokers and
// voters, which are text. Followers watch from keyHead to the end of keyBase, so nothing else may sort between them.
//
//	rafka/broker/bar/<id>        a broker that gets no vote by itself
//	rafka/broker/dir/<uuid>      the broker id of a data directory
//	rafka/broker/id/<id>         the data directory that owns a broker id
//	rafka/chunk/<revision>-<nonce>/<n>   a piece of a snapshot
//	rafka/cluster                the cluster's id; only in an etcd that others run
//	rafka/controller             who decides, as long as its lease lasts; the same
//	rafka/head                   the last revision; every commit compares it and writes it
//	rafka/log/<revision>         one batch, 20 digits
//	rafka/snap                   the snapshot that the log continues
//	rafka/voter/<host:port>      the broker id of a member that has not told its name yet
const (
	keyBarred     = "rafka/broker/bar/"
	keyDirs       = "rafka/broker/dir/"
	keyIDs        = "rafka/broker/id/"
	keyChunks     = "rafka/chunk/"
	keyCluster    = "rafka/cluster"
	keyController = "rafka/controller"
	keyHead       = "rafka/head"
	keyLog        = "rafka/log/"
	keyBase       = "rafka/snap"
	keyVoters     = "rafka/voter/"

	keyLogEnd   = "rafka/log0" // '0' follows '/'
	keyWatchEnd = keyBase + "\x00"
)

func logKey(r Revision) string { return fmt.Sprintf("%s%020d", keyLog, r) }

// logRevision reads what logKey wrote.
func logRevision(key string) (Revision, error) {
	digits := key[min(len(key), len(keyLog)):]
	r, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || len(digits) != 20 || r < 1 {
		return 0, fmt.Errorf("the key %q names no revision: %w", key, ErrDamaged)
	}
	return Revision(r), nil
}

// Kinds of frames that only etcd holds.
const (
	frameCommit frameKind = 4 // revision: of the batch; payload: term, nonce, then the records
	frameHead   frameKind = 5 // revision: of the last batch; payload: offset, term, broker id of who wrote it
	frameBase   frameKind = 6 // revision: that the snapshot stands for; payload: nonce, chunks, bytes
)

// logged is the value of a key of the log.
type logged struct {
	batch Batch
	term  Term
	// nonce is the same for all batches of one transaction and for no other transaction, so that who wrote them knows them again.
	nonce uint64
}

func encodeLogged(r Revision, term Term, nonce uint64, records []byte) []byte {
	b := beginFrame(make([]byte, 0, frameHeader+2*binary.MaxVarintLen64+len(records)+frameAlign))
	b = binary.AppendUvarint(b, uint64(term))
	b = binary.AppendUvarint(b, nonce)
	return endFrame(append(b, records...), 0, frameCommit, r)
}

func decodeLogged(b []byte) (logged, error) {
	f, err := parseKind(b, frameCommit)
	if err != nil {
		return logged{}, err
	}
	n, rest, err := cutUvarints(f.payload, 2)
	if err != nil {
		return logged{}, err
	}
	records, err := metadata.DecodeRecords(rest)
	return logged{batch: Batch{Revision: f.revision, Records: records}, term: Term(n[0]), nonce: n[1]}, err
}

// head is the value of keyHead.
type head struct {
	revision Revision
	offset   metadata.Offset
	term     Term           // of the last commit; commits of older ones fail (QUO-3)
	node     kafka.BrokerID // who made it
}

func (h head) encode() []byte {
	b := beginFrame(nil)
	b = binary.AppendUvarint(b, uint64(h.offset))
	b = binary.AppendUvarint(b, uint64(h.term))
	b = binary.AppendUvarint(b, uint64(h.node))
	return endFrame(b, 0, frameHead, h.revision)
}

func decodeHead(b []byte) (head, error) {
	f, err := parseKind(b, frameHead)
	if err != nil {
		return head{}, err
	}
	n, _, err := cutUvarints(f.payload, 3)
	if err != nil {
		return head{}, err
	}
	return head{revision: f.revision, offset: metadata.Offset(n[0]), term: Term(n[1]), node: kafka.BrokerID(n[2])}, nil
}

// base is the value of keyBase: where the snapshot is.
type base struct {
	revision Revision
	nonce    uint64 // in the names of the chunks
	chunks   int
	bytes    int64 // of all chunks
}

// chunkBytes is the size of all chunks but the last.
const chunkBytes = 1 << 20

func (s base) encode() []byte {
	b := beginFrame(nil)
	b = binary.AppendUvarint(b, s.nonce)
	b = binary.AppendUvarint(b, uint64(s.chunks))
	b = binary.AppendUvarint(b, uint64(s.bytes))
	return endFrame(b, 0, frameBase, s.revision)
}

func decodeBase(b []byte) (base, error) {
	f, err := parseKind(b, frameBase)
	if err != nil {
		return base{}, err
	}
	n, _, err := cutUvarints(f.payload, 3)
	if err != nil {
		return base{}, err
	}
	s := base{revision: f.revision, nonce: n[0], chunks: int(n[1]), bytes: int64(n[2])}
	if n[2] > frameHeader+maxPayload+frameAlign || n[1] != (n[2]+chunkBytes-1)/chunkBytes {
		return base{}, fmt.Errorf("a snapshot of %d bytes in %d pieces: %w", n[2], n[1], ErrDamaged)
	}
	return s, nil
}

// chunks is the prefix of the names of the snapshot's pieces; no other snapshot has the same.
func (s base) prefix() string {
	return fmt.Sprintf("%s%020d-%016x/", keyChunks, s.revision, s.nonce)
}

func (s base) chunkKey(n int) string { return fmt.Sprintf("%s%08d", s.prefix(), n) }

// end is the key behind all that begin with prefix.
func end(prefix string) string { return prefix[:len(prefix)-1] + string(prefix[len(prefix)-1]+1) }

func parseKind(b []byte, kind frameKind) (frame, error) {
	f, _, err := parseFrame(b)
	if err != nil {
		return frame{}, fmt.Errorf("%w: %w", err, ErrDamaged)
	}
	if f.kind != kind || f.revision < 0 {
		return frame{}, fmt.Errorf("a frame of kind %d and revision %d where kind %d belongs: %w", f.kind, f.revision, kind, ErrDamaged)
	}
	return f, nil
}

func cutUvarints(b []byte, n int) ([]uint64, []byte, error) {
	numbers := make([]uint64, n)
	for i := range numbers {
		var err error
		if numbers[i], b, err = cutUvarint(b); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", err, ErrDamaged)
		}
	}
	return numbers, b, nil
}
