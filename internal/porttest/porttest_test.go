package porttest

import (
	"net"
	"slices"
	"testing"
)

// PRT-1
func TestAPortIsGivenOnce(t *testing.T) {
	var inner []string
	t.Run("inner", func(t *testing.T) {
		inner = Free(t, 3)
		others := append(Free(t, 1), Free(t, 15)...)
		for _, addr := range inner {
			if slices.Contains(others, addr) {
				t.Errorf("%s is given twice", addr)
			}
			if nc, err := net.Dial("tcp", addr); err == nil {
				nc.Close()
				t.Errorf("somebody listens at %s", addr)
			}
		}
		again, err := net.Listen("tcp", inner[2])
		if err != nil {
			t.Fatal(err)
		}
		again.Close()
	})
}
