package peer

import "github.com/twmb/franz-go/pkg/kmsg"

// FetchFrame is the answer to a Fetch. Its owner calls Release once.
type FetchFrame struct {
	Response *kmsg.FetchResponse // its RecordBatches, and bytes of unknown tags, alias a pooled buffer; nil after Release
	frame    *buffer
}

// Answer is Response.
func (f *FetchFrame) Answer() *kmsg.FetchResponse { return f.Response }

// Release gives the buffer back: nothing of Response may be used afterwards. Releasing nil, or again, does nothing.
func (f *FetchFrame) Release() {
	if f == nil || f.frame == nil {
		return
	}
	f.Response = nil
	f.frame.free()
	f.frame = nil
}
