package percent

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func sample() *kgo.Record {
	return &kgo.Record{
		Topic: "orders", Partition: 2, Offset: 7, LeaderEpoch: 4, ProducerID: 11, ProducerEpoch: 3,
		Key: []byte("k%1"), Value: []byte("a\x00b"), Timestamp: time.UnixMilli(1_700_000_000_123),
		Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte("2")}},
	}
}

func TestTemplatesOfKcatAndRpk(t *testing.T) {
	for _, tc := range []struct{ template, want string }{
		{`%t [%p] %o: %k=%s %h\n`, "orders [2] 7: k%1=a\x00b a=1,b=2\n"},
		{`%K|%S|%V|%H|%e`, "3|3|3|2|4"},
		{`%R`, "\x00\x00\x00\x03"},
		{`%T %d`, "1700000000123 2023-11-14T22:13:20.123Z"},
		{`%d{2006-01-02}`, "2023-11-14"},
		{`%h{%k:%v;}`, "a:1;b:2;"},
		{`%h{{%k}}`, "{a}{b}"},
		{`%x/%y 100%%\t\x41\\\0`, "11/3 100%\tA\\\x00"},
		{``, ""},
		{`é%v`, "éa\x00b"},
	} {
		f, err := Compile(tc.template)
		if err != nil {
			t.Errorf("%q: %v", tc.template, err)
			continue
		}
		if got := string(f.Append(nil, sample())); got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.template, got, tc.want)
		}
	}
}

func TestNullIsToldFromEmpty(t *testing.T) {
	f, err := Compile("%K %S")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(f.Append(nil, &kgo.Record{Value: []byte{}})); got != "-1 0" {
		t.Errorf("got %q", got)
	}
}

func TestBadTemplatesSayWhatIsKnown(t *testing.T) {
	for template, want := range map[string]string{
		`%z`: "unknown code %z", `%`: "single %", `\`: `single \`, `\q`: `unknown escape \q`,
		`\x4`: "two hex digits", `%h{%k`: "no closing }", `%h{%o}`: "unknown code %o in %h{",
	} {
		if _, err := Compile(template); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", template, err, want)
		}
	}
}

// PCT-1 and PCT-2: any accepted template writes any record without a panic, and a template without codes is Unescape.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{`%t %p\n`, `%h{%k=%v,}`, `%d{{}}`, `%`, `\x0g`, "\xff%\xfe", `%%\\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, template string) {
		format, err := Compile(template)
		if err != nil {
			return
		}
		got := format.Append(nil, sample())
		format.Append(nil, &kgo.Record{})
		if !strings.Contains(template, "%") {
			plain, err := Unescape(template)
			if err != nil || string(plain) != string(got) {
				t.Errorf("%q: format writes %q, Unescape %q (%v)", template, got, plain, err)
			}
		}
	})
}
