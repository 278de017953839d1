package kafka

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
)

// KAF-2: codes, names and retriable flags are those of Kafka 4.4, and there are no others.
func TestErrorTableIsKafkas(t *testing.T) {
	data, err := os.ReadFile("testdata/kafka-4.4-errors.tsv")
	if err != nil {
		t.Fatal(err)
	}
	known := map[ErrorCode]bool{}
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if i == 0 {
			continue // the names of the columns
		}
		f := strings.Split(strings.TrimSpace(line), "\t")
		n, err := strconv.ParseInt(f[0], 10, 16)
		if err != nil || len(f) != 3 {
			t.Fatalf("line %d: %q", i+1, line)
		}
		c := ErrorCode(n)
		known[c] = true
		if c.Name() != f[1] || strconv.FormatBool(c.Retriable()) != f[2] {
			t.Errorf("%d is %s, retriable %v; Kafka has %s, %s", n, c.Name(), c.Retriable(), f[1], f[2])
		}
		if c.Error() != f[1] {
			t.Errorf("%d as an error says %s", n, c.Error())
		}
	}
	if len(known) < 130 {
		t.Errorf("only %d codes in the golden file", len(known))
	}
	for c, name := range codeNames {
		if !known[c] {
			t.Errorf("Kafka has no code %d (%s)", c, name.name)
		}
	}
	if c := ErrorCode(9999); c.Name() != "ERROR_9999" || c.Retriable() {
		t.Errorf("an unknown code is %s, retriable %v", c.Name(), c.Retriable())
	}
}

// KAF-1: whatever error reaches a client has one code, and the message that goes with it.
func TestEveryErrorHasOneCode(t *testing.T) {
	detailed := Errorf(InvalidConfig, "retention.ms is %d", -2)
	for _, tc := range []struct {
		name    string
		err     error
		code    ErrorCode
		message string
	}{
		{"nil", nil, None, ""},
		{"a code", NotLeaderOrFollower, NotLeaderOrFollower, ""},
		{"a detailed error", detailed, InvalidConfig, "retention.ms is -2"},
		{"a wrapped code", fmt.Errorf("append: %w", NotLeaderOrFollower), NotLeaderOrFollower, ""},
		{"a wrapped detailed error", fmt.Errorf("alter: %w", detailed), InvalidConfig, "retention.ms is -2"},
		{"an error without a code", io.ErrUnexpectedEOF, UnknownServerError, ""},
		{"joined errors", errors.Join(io.EOF, MessageTooLarge), MessageTooLarge, ""},
		{"the outer code wins", Errorf(CorruptMessage, "read: %w", detailed), CorruptMessage, "read: retention.ms is -2"},
	} {
		if code, message := CodeOf(tc.err), MessageOf(tc.err); code != tc.code || message != tc.message {
			t.Errorf("%s: %v %q, want %v %q", tc.name, code, message, tc.code, tc.message)
		}
	}
}

func TestErrorsKeepTheirCause(t *testing.T) {
	err := Errorf(KafkaStorageError, "write: %w", io.ErrShortWrite)
	if !errors.Is(err, io.ErrShortWrite) || !errors.Is(err, KafkaStorageError) || errors.Is(err, CorruptMessage) {
		t.Error("the cause and the code, and nothing else")
	}
	if wrapped := fmt.Errorf("flush: %w", err); !errors.Is(wrapped, KafkaStorageError) || CodeOf(wrapped) != KafkaStorageError {
		t.Error("wrapped")
	}
	if err := Errorf(InvalidRequest, "no cause"); errors.Unwrap(err) != nil {
		t.Error("a cause out of nowhere")
	}
}
