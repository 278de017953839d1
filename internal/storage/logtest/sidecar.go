package logtest

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
)

func sidecarKeeps(s *suite) {
	u := s.open("t", small)
	c := u.log.Sidecar()
	if _, err := c.Get("epochs"); !errors.Is(err, fs.ErrNotExist) {
		u.Fatalf("an absent blob: %v", err)
	}
	u.must(c.Delete("epochs"))
	want := map[string][]byte{"epochs": []byte("one"), "producers-00000000000000000042.snapshot": bytes.Repeat([]byte{0, 255}, 5000), "empty": {}}
	for name, blob := range want {
		mine := bytes.Clone(blob)
		u.must(c.Put(name, mine))
		clear(mine)
	}
	want["epochs"] = []byte("two")
	u.must(c.Put("epochs", []byte("two")))
	for name, blob := range want {
		got, err := c.Get(name)
		if err != nil || !bytes.Equal(got, blob) {
			u.Errorf("%s: %q, %v; want %q", name, got, err, blob)
		}
	}
	names, err := c.List()
	u.must(err)
	slices.Sort(names)
	if !slices.Equal(names, []string{"empty", "epochs", "producers-00000000000000000042.snapshot"}) {
		u.Errorf("names %q", names)
	}
	u.must(c.Delete("epochs"))
	if _, err := c.Get("epochs"); !errors.Is(err, fs.ErrNotExist) {
		u.Errorf("a deleted blob: %v", err)
	}
	for _, name := range []string{"", "a/b", "../a", "A", "a b"} {
		if c.Put(name, nil) == nil {
			u.Errorf("%q was taken as a name", name)
		}
	}
	// Blobs and batches do not meet.
	u.append(10)
	u.trim(u.model.end / 2)
	u.check()
	if got, err := c.Get("empty"); err != nil || len(got) != 0 {
		u.Errorf("empty: %q, %v", got, err)
	}
}
