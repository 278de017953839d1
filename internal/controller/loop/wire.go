package loop

import (
	"encoding/json"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/metadata"
)

// maxBody bounds a request between nodes and its answer.
const maxBody = 8 << 20

// reply is what a node answers to another one. One of Void, Unknown, Refused and Answer is set.
type reply struct {
	// Offset is how far the metadata of the answering node is: whoever asked waits until its own is as far.
	Offset metadata.Offset
	// Void: nothing has happened and nothing will; ask whoever decides.
	Void bool `json:",omitempty"`
	// Unknown: it has happened or not, or may happen yet.
	Unknown bool            `json:",omitempty"`
	Refused failure         `json:",omitzero"`
	Answer  json.RawMessage `json:",omitempty"`
}

func (r reply) encode(answer any) (_ []byte, err error) {
	if answer != nil {
		if r.Answer, err = encode(answer); err != nil {
			return nil, err
		}
	}
	return encode(r)
}

func decodeReply(b []byte, answer any) (r reply, err error) {
	if err := decode(b, &r); err != nil {
		return reply{}, err
	}
	if r.Void || r.Unknown || r.Refused.error != nil {
		return r, nil
	}
	return r, decode(r.Answer, answer)
}

func encode(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, kafka.Errorf(kafka.InvalidRequest, "the request cannot be sent to the controller: %w", err)
	}
	if len(b) > maxBody {
		return nil, kafka.Errorf(kafka.PolicyViolation, "%d bytes are too many for one request to the controller, which takes %d; split it", len(b), maxBody)
	}
	return b, nil
}

func decode(b []byte, v any) error {
	if len(b) > maxBody {
		return kafka.Errorf(kafka.InvalidRequest, "%d bytes are too many for one request to the controller, which takes %d", len(b), maxBody)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return kafka.Errorf(kafka.InvalidRequest, "not understood; are all nodes of releases that work together?: %w", err)
	}
	return nil
}

// failure is an error on its way between nodes: its code and its message.
type failure struct{ error }

type wireFailure struct {
	Code    kafka.ErrorCode
	Message string `json:",omitempty"`
}

// MarshalJSON implements json.Marshaler. No error is null.
func (f failure) MarshalJSON() ([]byte, error) {
	if f.error == nil {
		return []byte("null"), nil
	}
	w := wireFailure{Code: kafka.CodeOf(f.error), Message: kafka.MessageOf(f.error)}
	if w.Code == kafka.UnknownServerError && w.Message == "" {
		w.Message = f.Error()
	}
	return json.Marshal(w)
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *failure) UnmarshalJSON(b []byte) error {
	f.error = nil
	if string(b) == "null" {
		return nil
	}
	var w wireFailure
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	switch {
	case w.Code == kafka.None:
	case w.Message == "":
		f.error = w.Code
	default:
		f.error = kafka.Errorf(w.Code, "%s", w.Message)
	}
	return nil
}

// IsZero has an answer without an error leave it out.
func (f failure) IsZero() bool { return f.error == nil }

// failures is an error or nil for each part of a request.
type failures []error

// MarshalJSON implements json.Marshaler.
func (f failures) MarshalJSON() ([]byte, error) {
	return json.Marshal(wrap(f, func(e error) failure { return failure{e} }))
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *failures) UnmarshalJSON(b []byte) error {
	return unwrap(b, (*[]error)(f), func(e failure) error { return e.error })
}

// wrap and unwrap turn lists of answers into what goes over the wire and back.
func wrap[T, W any](list []T, f func(T) W) []W {
	out := make([]W, len(list))
	for i := range list {
		out[i] = f(list[i])
	}
	return out
}

func unwrap[T, W any](b []byte, list *[]T, f func(W) T) error {
	var in []W
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*list = wrap(in, f)
	return nil
}
