package framing

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func readAll(t *testing.T, in io.Reader, delim string, limit int) []string {
	t.Helper()
	r := NewReader(in, []byte(delim), limit)
	var got []string
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(rec))
	}
}

func TestRecordsEndAtTheDelimiter(t *testing.T) {
	for _, tc := range []struct{ in, delim, want string }{
		{"a\nb\n", "\n", "a|b"},
		{"a\n\nb", "\n", "a||b"},
		{"", "\n", ""},
		{"\n", "\n", ""},
		{"a\r\nb\r\n", "\r\n", "a|b"},
		{"a\nb\r\n", "\r\n", "a\nb"},
		{"xaabbaab", "aab", "x|b"},
		{"\x00\xff\n\xfe", "\n", "\x00\xff|\xfe"},
	} {
		if got := strings.Join(readAll(t, strings.NewReader(tc.in), tc.delim, 100), "|"); got != tc.want {
			t.Errorf("%q at %q: got %q, want %q", tc.in, tc.delim, got, tc.want)
		}
	}
}

// FRM-2: a record of exactly the limit passes, one more byte fails, also when it is longer than the read buffer.
func TestLongRecordsAreRefusedByNumber(t *testing.T) {
	long := strings.Repeat("x", 300<<10)
	if got := readAll(t, strings.NewReader(long+"\n"+long), "\n", len(long)); len(got) != 2 || got[1] != long {
		t.Fatalf("%d records", len(got))
	}
	r := NewReader(strings.NewReader("ok\n"+long), []byte("\n"), len(long)-1)
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err == nil || !strings.Contains(err.Error(), "record 2") {
		t.Fatalf("error %v", err)
	}
	if _, err := ReadWhole(strings.NewReader("abc"), 2); err == nil {
		t.Error("ReadWhole must refuse 3 bytes at a limit of 2")
	}
}

// FRM-1: the same records as bytes.Split, however the reads are cut.
func FuzzReaderEqualsSplit(f *testing.F) {
	f.Add([]byte("a\nb\n"), []byte("\n"))
	f.Add([]byte("xaabaab"), []byte("aab"))
	f.Add([]byte{0, 0, 0}, []byte{0, 0})
	f.Fuzz(func(t *testing.T, in, delim []byte) {
		if len(delim) == 0 {
			return
		}
		want := bytes.Split(in, delim)
		if len(want[len(want)-1]) == 0 {
			want = want[:len(want)-1]
		}
		got := readAll(t, iotest.OneByteReader(bytes.NewReader(in)), string(delim), len(in))
		if len(got) != len(want) {
			t.Fatalf("%q at %q: %q, want %q", in, delim, got, want)
		}
		for i := range want {
			if got[i] != string(want[i]) {
				t.Fatalf("%q at %q: %q, want %q", in, delim, got, want)
			}
		}
	})
}
