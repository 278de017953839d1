package mesh

import (
	"encoding/binary"
	"errors"
)

// Load is what a broker has to do.
type Load struct {
	Connections int64 // of clients, open
	BytesIn     int64 // of clients, a second
	BytesOut    int64
	Leads       int64 // partitions
}

// maxLoad bounds the encoding of a load.
const maxLoad = 64

// Append appends the encoding of a load: four numbers, as varints.
func (l Load) Append(dst []byte) []byte {
	for _, n := range []int64{l.Connections, l.BytesIn, l.BytesOut, l.Leads} {
		dst = binary.AppendUvarint(dst, uint64(max(n, 0)))
	}
	return dst
}

var errLoad = errors.New("this is no load of a broker")

// DecodeLoad reads what Append wrote. What follows belongs to later releases and is not looked at.
func DecodeLoad(b []byte) (l Load, err error) {
	if len(b) > maxLoad {
		return l, errLoad
	}
	for _, to := range []*int64{&l.Connections, &l.BytesIn, &l.BytesOut, &l.Leads} {
		n, size := binary.Uvarint(b)
		if size <= 0 || int64(n) < 0 {
			return Load{}, errLoad
		}
		*to, b = int64(n), b[size:]
	}
	return l, nil
}
