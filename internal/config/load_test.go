package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// Each file of testdata/load has sources, and under "want" everything that comes of them: settings with their origins, notices, errors.
// CFG-1, CFG-4.
func TestLoadTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			src := Sources{Env: []string{"HOME=/home/u"}}
			var want *txtar.File
			for i := range a.Files {
				f := &a.Files[i]
				lines := strings.Split(strings.TrimSuffix(string(f.Data), "\n"), "\n")
				switch f.Name {
				case "env":
					src.Env = append(src.Env, lines...)
				case "flags":
					src.Flags = lines
				case "want":
					want = f
				default:
					src.Files = append(src.Files, File{f.Name, f.Data})
				}
			}
			got := transcript(src)
			if *rewrite {
				if want == nil {
					a.Files = append(a.Files, txtar.File{Name: "want"})
					want = &a.Files[len(a.Files)-1]
				}
				want.Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want == nil || string(want.Data) != got {
				t.Errorf("got:\n%s", got)
			}
		})
	}
}

func transcript(src Sources) string {
	var b strings.Builder
	s, notices, err := Load(src)
	if err != nil {
		fmt.Fprintf(&b, "error: %s\n", strings.ReplaceAll(err.Error(), "\n", "\nerror: "))
		return b.String()
	}
	for _, name := range slices.Sorted(maps.Keys(s.values)) {
		fmt.Fprintf(&b, "%s = %q (%s)\n", name, s.values[name].value, s.values[name].origin)
	}
	for _, n := range notices {
		fmt.Fprintf(&b, "notice: %s\n", n.Text)
	}
	return b.String()
}

// Java's Properties, by its own documentation's examples and at its edges.
func TestPropertiesSyntax(t *testing.T) {
	for text, want := range map[string][][2]string{
		"Truth = Beauty\n Truth:Beauty\nTruth    :Beauty": {{"Truth", "Beauty"}, {"Truth", "Beauty"}, {"Truth", "Beauty"}},
		"fruits    apple, banana, pear, \\\n    cantaloupe, watermelon, \\\n    kiwi, mango": {
			{"fruits", "apple, banana, pear, cantaloupe, watermelon, kiwi, mango"}},
		"cheeses":                      {{"cheeses", ""}},
		"a=b\\":                        {{"a", "b"}},
		"a=b\\\\\nc=d":                 {{"a", `b\`}, {"c", "d"}},
		"# a=b\n! c=d\n\n\r\n \t# e=f": nil,
		`a\ b\:c\=d = x=y:z`:           {{"a b:c=d", "x=y:z"}},
		`a=\u0041\t\n\r\f\q\\`:         {{"a", "A\t\n\r\fq\\"}},
		"a=b # no comment":             {{"a", "b # no comment"}},
		"a=b  ":                        {{"a", "b  "}},
		"a\\\n  b=c":                   {{"ab", "c"}},
		"#x\\\na=b":                    {{"a", "b"}},
		"a=1\r\nb=2\rc=3":              {{"a", "1"}, {"b", "2"}, {"c", "3"}},
	} {
		entries, err := parseProperties(File{"f", []byte(text)})
		var got [][2]string
		for _, e := range entries {
			got = append(got, [2]string{e.key, e.value})
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{`a=\u12`, `a=\uzzzz`, `\u=b`} {
		if _, err := parseProperties(File{"f.properties", []byte(text)}); err == nil || !strings.Contains(err.Error(), "f.properties:1") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestEnvironmentNames(t *testing.T) {
	for name, want := range map[string]string{"LOG_RETENTION_MS": "log.retention.ms", "A__B": "a_b", "A___B": "a-b", "A____B": "a-.b", "": ""} {
		if got := envKey(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestTypedGetters(t *testing.T) {
	s, _, err := Load(Sources{Values: map[string]string{
		"log.dirs": "/a, /b", "log.retention.hours": "2", "rafka.log.io": "buffered", "auto.create.topics.enable": "FALSE",
		"log.cleaner.min.cleanable.ratio": "0.25", "quota.window.size.seconds": "3", "connections.max.idle.ms": "9223372036854775807",
		"broker.id": "7", "queued.max.request.bytes": "5000000",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.LogDirs(); !reflect.DeepEqual(got, []string{"/a", "/b"}) {
		t.Error(got)
	}
	if s.Duration("log.retention.hours") != 2*time.Hour || s.Duration("quota.window.size.seconds") != 3*time.Second || s.Duration("connections.max.idle.ms") != 1<<63-1 || s.Duration("log.retention.ms") != 0 {
		t.Error("durations")
	}
	if s.String("rafka.log.io") != "buffered" || s.Bool("auto.create.topics.enable") || !s.Bool("delete.topic.enable") || s.Float("log.cleaner.min.cleanable.ratio") != 0.25 {
		t.Error("values")
	}
	if s.NodeID() != 7 || s.RequestBytes() != 5_000_000 || s.Int("num.partitions") != 1 {
		t.Error(s.NodeID(), s.RequestBytes())
	}
	if _, origin, ok := s.Set("log.dirs"); !ok || origin != "the program" {
		t.Error(origin)
	}
	for _, misuse := range []func(){func() { s.Int("log.dirs") }, func() { s.String("no.such") }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a mistake in the program went unnoticed")
				}
			}()
			misuse()
		}()
	}
}

func TestListeners(t *testing.T) {
	s, _, err := Load(Sources{Flags: []string{
		"listeners=INTERNAL://10.0.0.1:9092,external://:19092,CONTROLLER://[::1]:9093",
		"advertised.listeners=INTERNAL://b1:9092,EXTERNAL://localhost:19092",
		"listener.security.protocol.map=INTERNAL:PLAINTEXT,EXTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT", "log.dirs=/x",
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []Listener{{"INTERNAL", "10.0.0.1", 9092, "PLAINTEXT", false}, {"EXTERNAL", "", 19092, "PLAINTEXT", false}, {"CONTROLLER", "::1", 9093, "PLAINTEXT", true}}
	if got := s.Listeners(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if want[2].Address() != "[::1]:9093" || want[1].Address() != ":19092" {
		t.Error(want[2].Address())
	}
	if got := s.Advertised(); len(got) != 2 || got[1].Host != "localhost" {
		t.Errorf("%+v", got)
	}
	for flag, wrong := range map[string]string{
		"listeners=localhost:9092":                         "NAME://HOST:PORT",
		"listeners=PLAINTEXT://localhost":                  "NAME://HOST:PORT",
		"listeners=PLAINTEXT://:99999":                     "0 to 65535",
		"listeners=PLAINTEXT://:1,PLAINTEXT://:2":          "twice",
		"listeners=PLAINTEXT://:1,CONTROLLER://:1":         "twice",
		"listeners=OTHER://:1":                             "add OTHER:PLAINTEXT there",
		"listeners=SSL://:9093":                            "serves PLAINTEXT only",
		"listener.security.protocol.map=PLAINTEXT":         "NAME:PROTOCOL",
		"listener.security.protocol.map=PLAINTEXT:TLS":     "unknown protocol",
		"rafka.kafka.address=nonsense":                     "HOST:PORT",
		"process.roles=controller":                         "must include broker",
		"log.cleaner.min.compaction.lag.ms=99999999999999": "",
	} {
		_, _, err := Load(Sources{Flags: []string{flag, "log.dirs=/x"}})
		if (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v, want %q", flag, err, wrong)
		}
	}
	s, _, err = Load(Sources{Flags: []string{"listeners=PLAINTEXT://:1", "rafka.kafka.address=", "log.dirs=/x"}})
	if err != nil || len(s.Listeners()) != 0 {
		t.Error("an empty address closes the door", err)
	}
}

func TestDefaultDirectory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the places of Linux")
	}
	for _, tc := range []struct {
		env  []string
		want string
	}{
		{[]string{"HOME=/home/u"}, "/home/u/.local/share/rafka"},
		{[]string{"HOME=/home/u", "XDG_DATA_HOME=/data"}, "/data/rafka"},
		{[]string{"HOME=/home/u", "XDG_DATA_HOME=relative"}, "/home/u/.local/share/rafka"},
		{nil, "rafka-data"},
	} {
		s, notices, err := Load(Sources{Env: tc.env})
		if err != nil || !reflect.DeepEqual(s.LogDirs(), []string{tc.want}) || len(notices) != 1 || !strings.Contains(notices[0].Text, tc.want) {
			t.Errorf("%v: %v %v %v", tc.env, s.LogDirs(), notices, err)
		}
		l := Layers{Static: s}
		if e, _ := l.Effective(Broker, "log.dir"); *e.Value != tc.want || e.Source != SourceDefault || len(e.Synonyms) != 1 {
			t.Errorf("%+v", e)
		}
	}
}
