package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/rafka-io/rafka/internal/seed"
)

// framed is a frame of n bytes with that API key.
func framed(key int16, n int) []byte {
	b := make([]byte, 4+n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	binary.BigEndian.PutUint32(b, uint32(n))
	binary.BigEndian.PutUint16(b[4:], uint16(key))
	return b
}

func anySize(int16) int { return 100 << 20 }

// Frames of all sizes around the places where reading changes its way, back to back, through readers that give little at a time, must
// come out as they went in, and leave nothing reserved.
func TestFramesComeOutAsTheyWentIn(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var stream []byte
	var want [][]byte
	for _, n := range []int{8, 9, 1019, 1020, 1021, 1022, 1024, 2048, 2049, 65536, 65537, 8, 300_000, 8, 300_001, 1 << 20, 12} {
		for range 2 {
			b := framed(int16(n), n+rng.IntN(3))
			stream, want = append(stream, b...), append(want, b[4:])
		}
	}
	for name, src := range map[string]io.Reader{
		"whole": bytes.NewReader(stream), "half": iotest.HalfReader(bytes.NewReader(stream)), "bytes": iotest.OneByteReader(bytes.NewReader(stream)),
		"with EOF": iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		budget := NewBudget(16<<20, 4<<20)
		fr := NewFrameReader(src, budget, anySize)
		for i := range want {
			f, err := fr.Next(nil)
			if err != nil {
				t.Fatalf("%s: frame %d: %v", name, i, err)
			}
			if !bytes.Equal(f.Bytes(), want[i]) {
				t.Fatalf("%s: frame %d of %d bytes differs", name, i, len(want[i]))
			}
			if used := budget.Stats().Used(); used < int64(len(want[i])) {
				t.Fatalf("%s: %d bytes are reserved for a frame of %d", name, used, len(want[i]))
			}
			f.Release()
		}
		if _, err := fr.Next(nil); err != io.EOF {
			t.Errorf("%s: %v at the end", name, err)
		}
		if used := budget.Stats().Used(); used != 0 {
			t.Errorf("%s: %d bytes are still reserved", name, used)
		}
		if state, received, frames := fr.Progress(); state != BetweenFrames || received != uint64(len(stream)) || frames != uint64(len(want)) {
			t.Errorf("%s: %d, %d bytes, %d frames", name, state, received, frames)
		}
	}
}

// WIR-1: what does not fit is refused by its length alone.
func TestFrameLimits(t *testing.T) {
	limit := func(key int16) int {
		if key == 0 {
			return 1 << 20
		}
		return 1000
	}
	for _, c := range []struct {
		head []byte
		want error
	}{
		{[]byte{0, 0, 3, 0xe8, 0, 1}, io.ErrUnexpectedEOF},
		{[]byte{0, 0, 3, 0xe9, 0, 1}, ErrFrameSize},
		{[]byte{0, 0, 3, 0xe9, 0, 0}, io.ErrUnexpectedEOF},
		{[]byte{0, 0x10, 0, 1, 0, 0}, ErrFrameSize},
		{[]byte{0x80, 0, 0, 0, 0, 0}, ErrFrameSize},
		{[]byte{0, 0, 0, 7, 0, 0}, ErrFrameSize},
		{[]byte{0, 0, 0}, io.ErrUnexpectedEOF},
		{nil, io.EOF},
	} {
		budget := NewBudget(16<<20, 4<<20)
		_, err := NewFrameReader(bytes.NewReader(c.head), budget, limit).Next(nil)
		if !errors.Is(err, c.want) {
			t.Errorf("%x: %v, want %v", c.head, err, c.want)
		}
		if used := budget.Stats().Used(); used != 0 {
			t.Errorf("%x: %d bytes reserved", c.head, used)
		}
	}
	if got := NewBudget(1<<20, 100<<20).MaxFrame(); got > 1<<19 {
		t.Errorf("a frame of %d bytes is no good in a budget of 1 MiB", got)
	}
}

// WIR-1: a claim reserves nothing until bytes have come, and then at most twice as much as has come.
func TestReservationFollowsArrival(t *testing.T) {
	const claim = 8 << 20
	b := framed(0, claim)
	budget := NewBudget(64<<20, 16<<20)
	sent := 0
	src := readerFunc(func(p []byte) (int, error) {
		if used := budget.Stats().Used(); used > int64(2*sent) && used > 4*peekSize {
			t.Fatalf("%d bytes are reserved after %d have come", used, sent)
		}
		n := copy(p[:min(len(p), 10_000)], b[sent:])
		sent += n
		return n, nil
	})
	f, err := NewFrameReader(src, budget, anySize).Next(nil)
	if err != nil || !bytes.Equal(f.Bytes(), b[4:]) {
		t.Fatal(err)
	}
	f.Release()
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// WIR-5: frames that are all half read and fill the lane: none can grow, unless one gets the spare. All come to their end.
func TestHalfReadFramesAllFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const frames, size = 12, 512 << 10
		budget := NewBudget(2<<20, size)
		if st := budget.Stats(); st.Large.Limit >= frames*size/2 {
			t.Fatalf("the lane of %d bytes is too large for this test", st.Large.Limit)
		}
		finished := make(chan error, frames)
		half := make(chan struct{})
		for range frames {
			b := framed(0, size)
			sent := 0
			src := readerFunc(func(p []byte) (int, error) {
				if sent > 60_000 {
					<-half
				}
				n := copy(p[:min(len(p), 8<<10)], b[sent:])
				sent += n
				return n, nil
			})
			go func() {
				f, err := NewFrameReader(src, budget, anySize).Next(nil)
				f.Release()
				finished <- err
			}()
		}
		synctest.Wait()
		close(half)
		for range frames {
			if err := <-finished; err != nil {
				t.Error(err)
			}
			if st := budget.Stats(); st.Used() > 2<<20 {
				t.Errorf("%d bytes held", st.Used())
			}
		}
		if used := budget.Stats().Used(); used != 0 {
			t.Errorf("%d bytes are left", used)
		}
	})
}

// A reader that waits for memory stops when told to, and what it held comes back.
func TestWaitingReaderCanBeStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(1<<20, 256<<10)
		var taken []*Gate
		for _, g := range []*Gate{budget.small, budget.large} {
			if _, err := g.Acquire(nil, g.limit); err != nil {
				t.Fatal(err)
			}
			taken = append(taken, g)
		}
		done := make(chan struct{})
		errs := make(chan error)
		fr := NewFrameReader(bytes.NewReader(framed(3, 5000)), budget, anySize)
		go func() {
			_, err := fr.Next(done)
			errs <- err
		}()
		synctest.Wait()
		if state, _, _ := fr.Progress(); state != AtGate {
			t.Errorf("state %d", state)
		}
		close(done)
		if err := <-errs; !errors.Is(err, ErrGateClosed) {
			t.Error(err)
		}
		for _, g := range taken {
			g.Release(g.limit)
		}
		if st := budget.Stats(); st.Used() != 0 || st.Small.Waiting != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// WIR-3: a released frame may be reused, and in builds with the tag "invariants" its bytes are gone at once.
func TestReleasedFramesAreReusedAndScribbled(t *testing.T) {
	budget := NewBudget(1<<20, 1<<18)
	fr := NewFrameReader(bytes.NewReader(framed(3, 5000)), budget, anySize)
	f, err := fr.Next(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := f.Bytes()
	f.Release()
	if scribbles && b[100] != 0xDB {
		t.Error("released bytes can still be read")
	}
	defer func() {
		if recover() == nil {
			t.Error("a second Release must panic")
		}
	}()
	f.Release()
}

func TestSizeClassesHoldWhatTheyPromise(t *testing.T) {
	for n := 1; n < 1<<27; n = n + 1 + n/7 {
		c := classOf(n)
		size := sizeOfClass(c)
		if size < n || n > 1<<firstClassBits && size > 2*n || c > 0 && sizeOfClass(c-1) >= n {
			t.Fatalf("%d bytes: class %d of %d", n, c, size)
		}
	}
}

// FuzzFrame feeds a stream in pieces: no panic, and nothing reserved at the end.
func FuzzFrame(f *testing.F) {
	f.Add(framed(0, 2000), uint8(3))
	f.Add([]byte{0x7f, 0xff, 0xff, 0xff, 0, 0}, uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		budget := NewBudget(1<<20, 1<<18)
		rest := stream
		src := readerFunc(func(p []byte) (int, error) {
			if len(rest) == 0 {
				return 0, io.EOF
			}
			n := copy(p[:min(len(p), 1+int(step))], rest)
			rest = rest[n:]
			return n, nil
		})
		fr := NewFrameReader(src, budget, anySize)
		total := 0
		for {
			frame, err := fr.Next(nil)
			if err != nil {
				break
			}
			total += 4 + len(frame.Bytes())
			if key, version, err := PeekHeader(frame.Bytes()); err == nil {
				for _, flexible := range []bool{false, true} {
					h, body, err := ParseHeader(frame.Bytes(), flexible)
					if err == nil && (h.Key != key || h.Version != version || len(body)+len(h.ClientID)+8 > len(frame.Bytes())) {
						t.Fatalf("%+v and %d bytes of body in %x", h, len(body), frame.Bytes())
					}
				}
			}
			frame.Release()
		}
		if total > len(stream) || budget.Stats().Used() != 0 {
			t.Fatalf("%d of %d bytes in frames, %+v", total, len(stream), budget.Stats())
		}
	})
}

func BenchmarkNextFrame(b *testing.B) {
	for _, n := range []int{200, 4 << 10, 512 << 10} {
		b.Run("", func(b *testing.B) {
			one := framed(0, n)
			at := 0
			src := readerFunc(func(p []byte) (int, error) {
				m := copy(p, one[at:])
				at = (at + m) % len(one)
				return m, nil
			})
			fr := NewFrameReader(src, NewBudget(64<<20, 16<<20), anySize)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				f, err := fr.Next(nil)
				if err != nil {
					b.Fatal(err)
				}
				f.Release()
			}
		})
	}
}
