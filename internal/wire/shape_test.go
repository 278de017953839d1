package wire

import (
	"errors"
	"testing"
)

var testShape = Shape{
	Fixed(2),
	Array(
		Text(),
		FixedArray(4).Since(1),
		TextArray().Until(1),
	),
	Optional(Text()).Since(2),
	Bytes().Since(3),
	Struct(Text()).Since(3),
}

// WIR-4: counts, tags and versions are counted as they are there.
func TestWalkCountsWhatIsThere(t *testing.T) {
	for _, c := range []struct {
		name     string
		version  int16
		flexible bool
		body     []byte
		want     Content
		err      error
	}{
		{"old", 0, false, []byte{0, 1, 0, 0, 0, 1, 0, 1, 'a', 0, 0, 0, 1, 0, 1, 'b'}, Content{Elements: 2, Bytes: 16}, nil},
		{"both arrays", 1, false, []byte{0, 1, 0, 0, 0, 1, 0, 1, 'a', 0, 0, 0, 1, 9, 9, 9, 9, 0, 0, 0, 0}, Content{Elements: 2, Bytes: 21}, nil},
		{"flexible with tags", 2, true, []byte{0, 1, 2, 2, 'a', 1, 1, 5, 1, 7, 0xff, 0}, Content{Elements: 1, Tags: 1, Bytes: 12}, nil},
		{"optional is there", 2, true, []byte{0, 1, 1, 1, 2, 'x', 0, 0}, Content{Elements: 1, Bytes: 8}, nil},
		{"bytes and a structure", 3, true, []byte{0, 1, 1, 0xff, 3, 7, 7, 2, 'x', 1, 5, 0, 0}, Content{Tags: 1, Bytes: 13}, nil},
		{"bytes cut short", 3, false, []byte{0, 1, 0, 0, 0, 0, 0xff, 0, 0, 0, 9, 1}, Content{}, ErrMalformed},
		{"null array", 2, true, []byte{0, 1, 0, 0xff, 0}, Content{Bytes: 5}, nil},
		{"count too large", 0, false, []byte{0, 1, 0, 0, 0, 9, 0, 1, 'a'}, Content{}, ErrMalformed},
		{"negative count", 0, false, []byte{0, 1, 0xff, 0xff, 0xff, 0xfe}, Content{}, ErrMalformed},
		{"negative length", 0, false, []byte{0, 1, 0, 0, 0, 1, 0xff, 0xfe, 0, 0, 0, 0}, Content{}, ErrMalformed},
		{"tags without end", 2, true, []byte{0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f}, Content{}, ErrMalformed},
		{"varint too long", 2, true, []byte{0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, Content{}, ErrMalformed},
		{"empty", 0, false, nil, Content{}, ErrMalformed},
	} {
		got, err := testShape.Walk(c.body, c.version, c.flexible)
		if !errors.Is(err, c.err) || err == nil && got != c.want {
			t.Errorf("%s: %+v %v, want %+v %v", c.name, got, err, c.want, c.err)
		}
	}
}

// FuzzShape: the walk ends, and never counts more than the bytes could hold.
func FuzzShape(f *testing.F) {
	f.Add([]byte{0, 1, 2, 2, 'a', 1, 1, 5, 1, 7, 0xff, 0}, int16(2), true)
	f.Fuzz(func(t *testing.T, body []byte, version int16, flexible bool) {
		c, err := testShape.Walk(body, version, flexible)
		if err == nil && c.Elements+2*c.Tags > len(body) {
			t.Fatalf("%+v in %d bytes", c, len(body))
		}
	})
}
