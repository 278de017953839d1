package kafka

import (
	"errors"
	"fmt"
)

// ErrorCode is what a client gets to know of an error. It is an error itself, so code that needs no more detail returns it as it
// is; Errorf adds a message for the client and for the log. The codes are in errors_table.go.
type ErrorCode int16

// Error is the code's name, such as UNKNOWN_TOPIC_OR_PARTITION.
func (c ErrorCode) Error() string { return c.Name() }

// Name is the code's name as Kafka's table has it.
func (c ErrorCode) Name() string {
	if n, ok := codeNames[c]; ok {
		return n.name
	}
	return fmt.Sprintf("ERROR_%d", int16(c))
}

// Retriable reports whether a client may try again without changing anything.
func (c ErrorCode) Retriable() bool { return codeNames[c].retriable }

// Error is an ErrorCode with a message that says what was wrong and what to do.
type Error struct {
	Code    ErrorCode
	Message string // for the client
	cause   error
}

// Errorf returns an Error; a %w in the format keeps the cause for errors.Is and errors.As.
func Errorf(code ErrorCode, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), cause: errors.Unwrap(err)}
}

func (e *Error) Error() string { return e.Message }

// Is makes errors.Is(err, kafka.UnknownTopicOrPartition) true for an Error of that code.
func (e *Error) Is(target error) bool { c, ok := target.(ErrorCode); return ok && c == e.Code }

func (e *Error) Unwrap() error { return e.cause }

// CodeOf is the code of err: None for nil, the code of the first Error or ErrorCode in its chain, else UnknownServerError (KAF-1).
func CodeOf(err error) ErrorCode {
	if err == nil {
		return None
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	var c ErrorCode
	if errors.As(err, &c) {
		return c
	}
	return UnknownServerError
}

// MessageOf is the message for the client that goes with CodeOf(err); empty where the code says it all.
func MessageOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Message
	}
	return ""
}
