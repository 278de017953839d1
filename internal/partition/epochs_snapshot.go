package partition

import (
	"encoding/binary"
	"errors"

	"github.com/rafka-io/rafka/internal/kafka"
)

// The sidecar blob "leader-epochs": version 1 byte (1) | count 4 | count times: epoch 4 | start offset 8. Big endian, both rising.
const (
	epochsBlob    = "leader-epochs"
	epochsVersion = 1
	epochsHeader  = 1 + 4
	epochBytes    = 4 + 8
)

var errEpochs = errors.New("this is no list of leader epochs that this version can read")

func (e epochs) encode() []byte {
	b := make([]byte, 0, epochsHeader+len(e)*epochBytes)
	b = append(b, epochsVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(len(e)))
	for _, s := range e {
		b = binary.BigEndian.AppendUint32(b, uint32(s.epoch))
		b = binary.BigEndian.AppendUint64(b, uint64(s.start))
	}
	return b
}

func decodeEpochs(b []byte) (epochs, error) {
	if len(b) < epochsHeader || b[0] != epochsVersion {
		return nil, errEpochs
	}
	count := int64(binary.BigEndian.Uint32(b[1:]))
	b = b[epochsHeader:]
	if count*epochBytes != int64(len(b)) {
		return nil, errEpochs
	}
	e := make(epochs, 0, count)
	last := epochStart{epoch: kafka.NoEpoch, start: kafka.NoOffset}
	for ; len(b) > 0; b = b[epochBytes:] {
		s := epochStart{kafka.LeaderEpoch(binary.BigEndian.Uint32(b)), kafka.Offset(binary.BigEndian.Uint64(b[4:]))}
		if s.epoch <= last.epoch || s.start <= last.start {
			return nil, errEpochs
		}
		e, last = append(e, s), s
	}
	return e, nil
}
