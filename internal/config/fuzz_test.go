package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func FuzzProperties(f *testing.F) {
	f.Add([]byte("a=b\\\n c\\u0041\n#x\n"))
	f.Add([]byte("a\\=:b = c\\"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, _ := parseProperties(File{"f", data})
		if lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 1; len(entries) > lines {
			t.Fatalf("%d entries in %d lines", len(entries), lines)
		}
		size := 0
		for _, e := range entries {
			size += len(e.key) + len(e.value)
		}
		if size > 2*len(data) { // an escape of six bytes is at most three; a byte that is no UTF-8 stays as it is
			t.Fatalf("%d bytes from %d", size, len(data))
		}
	})
}

// Any file gives a Static whose getters work, or an error that names the file.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, true)
		f.Add(data, false)
	}
	f.Add([]byte("log: {dirs: [a, b]}\nserver: {host: '::1'}"), true)
	f.Add([]byte("listeners=PLAINTEXT://[::1]:0,x://:1"), false)
	f.Fuzz(func(t *testing.T, data []byte, yaml bool) {
		name := "f.properties"
		if yaml {
			name = "f.yaml"
		}
		s, _, err := Load(Sources{Files: []File{{name, data}}})
		if err != nil {
			return
		}
		_, _, _, _, _ = s.Listeners(), s.Advertised(), s.LogDirs(), s.NodeID(), s.RequestBytes()
		l := Layers{Static: s}
		_ = l.Topic()
		for scope := range scopes {
			_ = l.Describe(scope)
		}
	})
}

// CFG-3: whatever a validator lets through, the typed view of a topic can be made of.
func FuzzValidate(f *testing.F) {
	for _, k := range Keys(Topic) {
		f.Add(k.Name, k.Default)
	}
	f.Add("retention.ms", "9223372036854775808")
	f.Add("leader.replication.throttled.replicas", "0:1,2:3")
	f.Fuzz(func(t *testing.T, name, value string) {
		for scope := range scopes {
			if err := Validate(scope, name, value); err != nil {
				continue
			}
			l := Layers{Resource: map[string]string{name: value}}
			if scope == Broker {
				l = Layers{Broker: map[string]string{name: value}}
			}
			_ = l.Topic()
			if e, ok := l.Effective(scope, name); !ok || e.Value == nil && !e.Key.Sensitive() {
				t.Fatalf("%v %s=%q was valid and has no value", scope, name, value)
			}
		}
		_ = Suggest(Broker, name)
	})
}
