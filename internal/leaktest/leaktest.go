package leaktest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines have to end after the last test. goleak itself gives them less than a second, which is not enough for a
// connection's goroutines on a machine that does much else.
const patience = time.Minute

// Main runs the tests of a package and ends the process: with 1 if they failed or left goroutines behind.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := wait(patience); err != nil {
			fmt.Fprintf(os.Stderr, "goroutines are left %v after the last test: %v\n", patience, err)
			code = 1
		}
	}
	os.Exit(code)
}

// wait returns nil once only goroutines of the runtime and of testing are left, and otherwise says which ones are after d.
func wait(d time.Duration) (err error) {
	for end := time.Now().Add(d); ; {
		if err = goleak.Find(); err == nil || time.Now().After(end) {
			return err
		}
	}
}
