package leaktest

import (
	"strings"
	"testing"
	"time"
)

// LEA-1
func TestWhoEndsIsWaitedForAndWhoStaysIsNamed(t *testing.T) {
	end := make(chan struct{})
	go stays(end)
	if err := wait(time.Millisecond); err == nil || !strings.Contains(err.Error(), "leaktest.stays") {
		t.Errorf("with a goroutine that stays: %v", err)
	}
	time.AfterFunc(10*time.Millisecond, func() { close(end) })
	if err := wait(patience); err != nil {
		t.Errorf("with one that ends: %v", err)
	}
}

func stays(end chan struct{}) { <-end }
