package testbin

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BinaryVariable names a binary that was built before, to be run instead: that of a release, or of a tree that is not this one.
const BinaryVariable = "RAFKA_TEST_BINARY"

var build = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv(BinaryVariable); bin != "" {
		return filepath.Abs(bin)
	}
	sweep()
	return compile()
})

// keptFor is how long a binary stays that a test process has built: nothing tells it when the last test is over.
const keptFor = 6 * time.Hour

// sweep removes the binaries of test processes of long ago, which would fill the disk.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), "rafka-bin-*"))
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > keptFor {
			_ = os.RemoveAll(dir)
		}
	}
}

// compile builds the binary with flags of go build.
func compile(flags ...string) (string, error) {
	dir, err := os.MkdirTemp("", "rafka-bin-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "rafka")
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", bin, "github.com/rafka-io/rafka/cmd/rafka")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
}

// EarlierVariable names the binary of an earlier release, for tests of upgrades from that one.
const EarlierVariable = "RAFKA_TEST_EARLIER_BINARY"

// Earlier is a binary that stands for an earlier release, built of this source: it understands rafka.version up to a level and reads nothing
// that came later. EarlierVariable puts a real one in its place.
func Earlier(t testing.TB, level int) string {
	t.Helper()
	if bin := os.Getenv(EarlierVariable); bin != "" {
		return bin
	}
	bin, err := compile("-ldflags", fmt.Sprintf("-X github.com/rafka-io/rafka/internal/metadata.earlier=%d", level))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(bin)) })
	return bin
}

// Binary is the path of the real binary, built on the first call, or the one that BinaryVariable names.
func Binary(t testing.TB) string {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// Server is a running `rafka serve`.
type Server struct {
	Kafka, HTTP, GRPC string // addresses; "" for a door that is off
	Pid               int

	cmd   *exec.Cmd
	gone  chan struct{}
	ready chan struct{} // closed by read
	log   lockedBuffer
}

// announced is how serve's banner names a door, as in "  kafka  127.0.0.1:9092".
var announced = regexp.MustCompile(`^\s*(kafka|http|grpc)\s+(\S+:\d+)`)

// Start runs the binary with serve and args, and returns once it has announced that it is ready. The process is killed at the test's end.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := Begin(t, args...)
	s.Ready(t)
	return s
}

// Begin is Start without the waiting: servers that look for each other must all have begun before one is ready.
func Begin(t testing.TB, args ...string) *Server {
	t.Helper()
	return BeginOf(t, Binary(t), args...)
}

// BeginOf is Begin of a binary that somebody else has built.
func BeginOf(t testing.TB, bin string, args ...string) *Server {
	t.Helper()
	s := &Server{cmd: exec.Command(bin, append([]string{"serve"}, args...)...), gone: make(chan struct{}), ready: make(chan struct{})}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = &s.log
	s.cmd.Env = environment()
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.Pid = s.cmd.Process.Pid
	go func() {
		defer close(s.gone)
		s.read(out, s.ready)
		_ = s.cmd.Wait()
	}()
	t.Cleanup(func() { s.Kill() })
	return s
}

// Ready returns once the server has announced that it is ready. Only then are its addresses known.
func (s *Server) Ready(t testing.TB) {
	t.Helper()
	select {
	case <-s.ready:
	case <-s.gone:
		t.Fatalf("the server ended at once:\n%s", s.Log())
	case <-time.After(2 * time.Minute):
		t.Fatalf("the server was not ready after two minutes:\n%s", s.Log())
	}
}

// environment is this process's without what would configure the server: RAFKA_LONG and its like are for tests, and the server refuses keys
// that it does not know.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "RAFKA_") || strings.HasPrefix(v, "KAFKA_")
	})
}

// read takes the addresses from the banner; a line that says ready closes it.
func (s *Server) read(out io.Reader, ready chan struct{}) {
	lines := bufio.NewScanner(out)
	open := true
	for lines.Scan() {
		line := lines.Text()
		fmt.Fprintln(&s.log, line)
		if m := announced.FindStringSubmatch(line); m != nil {
			switch m[1] {
			case "kafka":
				s.Kafka = m[2]
			case "http":
				s.HTTP = m[2]
			case "grpc":
				s.GRPC = m[2]
			}
		}
		if open && bytes.Contains(lines.Bytes(), []byte("ready in")) {
			open = false
			close(ready)
		}
	}
}

// Kill ends the process with SIGKILL and waits for it.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.gone
}

// Stop asks the process to stop and returns how long that took and its exit code.
func (s *Server) Stop(t testing.TB) (time.Duration, int) {
	t.Helper()
	t0 := time.Now()
	stop := os.Signal(syscall.SIGTERM)
	if runtime.GOOS == "windows" {
		stop = os.Kill
	}
	if err := s.cmd.Process.Signal(stop); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.gone:
	case <-time.After(2 * time.Minute):
		t.Fatalf("the server did not stop within two minutes:\n%s", s.Log())
	}
	return time.Since(t0), s.cmd.ProcessState.ExitCode()
}

// Ended is closed when the process has ended.
func (s *Server) Ended() <-chan struct{} { return s.gone }

// Log is what the process printed so far.
func (s *Server) Log() string { return s.log.String() }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
