package kafkasrv

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/rafka-io/rafka/internal/kafka"
	"github.com/rafka-io/rafka/internal/seed"
	"github.com/rafka-io/rafka/internal/wire"
)

// The table must be Kafka 4.4's: a version too few shuts a client out, one too many is sent and closes the connection (WIR-2).
func TestVersionsAreKafkas(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "kafka-4.4-apis.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	r := csv.NewReader(bytes.NewReader(b))
	r.Comma = '\t'
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	kafkas := map[int16][2]int16{}
	for _, row := range rows[1:] {
		n := [3]int{}
		for i, cell := range []int{0, 2, 4} {
			if n[i], err = strconv.Atoi(row[cell]); err != nil {
				t.Fatal(err)
			}
		}
		kafkas[int16(n[0])] = [2]int16{int16(n[1]), int16(n[2])}
	}
	table := newAPITable()
	if len(table.list) < 19 {
		t.Errorf("%d APIs", len(table.list))
	}
	for _, a := range table.list {
		if got := [2]int16{a.min, a.max}; got != kafkas[a.key] {
			t.Errorf("%s: versions %v, Kafka has %v", a.name, got, kafkas[a.key])
		}
		if (a.start == nil) == (a.handle == nil) || a.start == nil && a.shape == nil {
			t.Errorf("%s: it must have either start or shape and handle", a.name)
		}
	}
}

// docs/supported.md tells users what we speak: its table must be this one.
func TestSupportedAPIsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "supported.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(doc)) {
		var key int
		if n, _ := fmt.Sscanf(line, "| %d |", &key); n == 1 {
			rows++
		}
	}
	for _, a := range newAPITable().list {
		row := fmt.Sprintf("| %d | %s | %d–%d |\n", a.key, a.name, a.min, a.max)
		if a.min == a.max {
			row = fmt.Sprintf("| %d | %s | %d |\n", a.key, a.name, a.min)
		}
		if rows--; !strings.Contains(string(doc), row) {
			t.Errorf("docs/supported.md lacks %s", row)
		}
	}
	if rows != 0 {
		t.Errorf("docs/supported.md has %d APIs more than we speak", rows)
	}
}

// Golden transcript: what each version of ApiVersions answers, byte for byte.
func TestApiVersionsTranscript(t *testing.T) {
	d := open(t, newFakeBroker(), Options{})
	var got strings.Builder
	for v := int16(0); v <= 6; v++ {
		q := hello()
		q.Version = v
		c := d.dial(t)
		c.send(q)
		b, err := c.readFrame()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "version %d: %x\n", v, b)
	}
	compareGolden(t, "api_versions.golden", got.String())
}

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("RAFKA_REWRITE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("not as %s (RAFKA_REWRITE=1 re-records)\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

func TestApiVersionsTellsTheTable(t *testing.T) {
	d := open(t, newFakeBroker(), Options{})
	for v := int16(0); v <= 5; v++ {
		q := hello()
		q.Version = v
		resp := d.dial(t).ask(q).(*kmsg.ApiVersionsResponse)
		if len(resp.ApiKeys) != len(d.apis.list) || resp.ErrorCode != 0 {
			t.Fatalf("version %d: %d APIs, error %d", v, len(resp.ApiKeys), resp.ErrorCode)
		}
		for i, a := range d.apis.list {
			oldest := a.min
			if a.key == keyProduce {
				oldest = 0 // librdkafka compresses nothing for a broker that tells otherwise
			}
			if k := resp.ApiKeys[i]; k.ApiKey != a.key || k.MinVersion != oldest || k.MaxVersion != a.max {
				t.Errorf("version %d tells %+v for %+v", v, k, a)
			}
		}
	}
}

// Clients look for the features of Kafka before they use what came with them, such as transactions of KIP-890.
func TestApiVersionsTellsKafkasFeatures(t *testing.T) {
	d := open(t, newFakeBroker(), Options{})
	resp := d.dial(t).ask(hello()).(*kmsg.ApiVersionsResponse)
	levels := map[string]int16{}
	for _, f := range resp.FinalizedFeatures {
		levels[f.Name] = f.MaxVersionLevel
	}
	for _, f := range resp.SupportedFeatures {
		if level, ok := levels[f.Name]; ok && (level < f.MinVersion || level > f.MaxVersion) {
			t.Errorf("%s is at level %d, supported are %d to %d", f.Name, level, f.MinVersion, f.MaxVersion)
		}
	}
	want := map[string]int16{"eligible.leader.replicas.version": 1, "metadata.version": 30, "group.version": 1, "transaction.version": 2, "share.version": 2, "streams.version": 1, "rafka.version": 1}
	if !maps.Equal(levels, want) || len(resp.SupportedFeatures) != len(want) {
		t.Errorf("%+v %+v", resp.SupportedFeatures, resp.FinalizedFeatures)
	}
}

// A client of the future sends ApiVersions in a version whose body nobody knows. It must learn our ranges, in version 0 (KIP-511).
func TestApiVersionsOfTheFutureGetsOurRanges(t *testing.T) {
	d := open(t, newFakeBroker(), Options{})
	for _, v := range []int16{6, 99, 32767, -1} {
		c := d.dial(t)
		c.write([]byte{0, 0, 0, 13, 0, 18, byte(uint16(v) >> 8), byte(v), 0, 0, 0, 77, 0, 1, 'x', 0xff, 0xff})
		b, err := c.readFrame()
		if err != nil {
			t.Fatal(err)
		}
		resp := kmsg.NewPtrApiVersionsResponse()
		if err := resp.ReadFrom(b[4:]); err != nil {
			t.Fatal(err)
		}
		if b[3] != 77 || kafka.ErrorCode(resp.ErrorCode) != kafka.UnsupportedVersion || len(resp.ApiKeys) != len(d.apis.list) {
			t.Errorf("version %d: %+v", v, resp)
		}
		if c.ask(hello()).(*kmsg.ApiVersionsResponse).ErrorCode != 0 {
			t.Errorf("version %d: the second try failed", v)
		}
	}
}

func TestApiVersionsChecksTheClient(t *testing.T) {
	cluster, other := fakeCluster, "BBBBBBBBBBBBBBBBBBBBBQ"
	d := open(t, newFakeBroker(), Options{})
	for _, c := range []struct {
		name, version string
		cluster       *string
		node          int32
		want          kafka.ErrorCode
	}{
		{"kgo", "1.2-3", nil, -1, kafka.None},
		{"a", "0", nil, -1, kafka.None},
		{"", "1", nil, -1, kafka.InvalidRequest},
		{"-x", "1", nil, -1, kafka.InvalidRequest},
		{"x", "1.", nil, -1, kafka.InvalidRequest},
		{"x y", "1", nil, -1, kafka.InvalidRequest},
		{"x", "1", &cluster, 1, kafka.None},
		{"x", "1", &cluster, -1, kafka.InvalidRequest},
		{"x", "1", nil, 1, kafka.InvalidRequest},
		{"x", "1", &cluster, 2, kafka.RebootstrapRequired},
		{"x", "1", &other, 1, kafka.RebootstrapRequired},
	} {
		q := kmsg.NewPtrApiVersionsRequest()
		q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion, q.ClusterID, q.NodeID = 5, c.name, c.version, c.cluster, c.node
		if got := d.dial(t).ask(q).(*kmsg.ApiVersionsResponse).ErrorCode; got != int16(c.want) {
			t.Errorf("%+v: error %d", c, got)
		}
	}
}

// fill gives every field of a message a random value, so that a field that a shape forgets shifts what follows it.
func fill(rng *rand.Rand, v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rng.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(int8(rng.Int32())))
	case reflect.String:
		v.SetString(strings.Repeat("n", rng.IntN(5)))
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(rng.IntN(256)))
		}
	case reflect.Pointer:
		if rng.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(rng, v.Elem(), depth+1)
		}
	case reflect.Slice:
		if rng.IntN(4) == 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), rng.IntN(4), 4))
		for i := range v.Len() {
			if v.Index(i).Kind() == reflect.Uint8 {
				v.Index(i).SetUint(uint64(rng.IntN(256)))
				continue
			}
			fill(rng, v.Index(i), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			switch name := v.Type().Field(i).Name; {
			case name == "Version" && depth == 0:
			case name == "UnknownTags":
				if tags, ok := v.Field(i).Addr().Interface().(*kmsg.Tags); ok && rng.IntN(4) == 0 {
					tags.Set(uint32(100+rng.IntN(100)), []byte("tag"))
				}
			case v.Field(i).CanSet():
				fill(rng, v.Field(i), depth+1)
			}
		}
	}
}

// Random requests of every version from another implementation's encoder: the shape must end exactly where the body does, and what the
// decoder then allocates must stay below what Walk says. (WIR-2, WIR-4, SRV-6)
func TestShapesMatchTheProtocol(t *testing.T) {
	seed := seed.Of(t)
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, a := range newAPITable().list {
		for v := a.min; v <= a.max && a.shape != nil; v++ {
			for range 200 {
				msg := kmsg.RequestForKey(a.key)
				fill(rng, reflect.ValueOf(msg).Elem(), 0)
				msg.SetVersion(v)
				body := msg.AppendTo(nil)
				if _, err := a.shape.Walk(body, v, msg.IsFlexible()); err != nil {
					t.Fatalf("%s version %d: %v in %x", a.name, v, err, body)
				}
				for cut := range body {
					if _, err := a.shape.Walk(body[:cut], v, msg.IsFlexible()); err == nil {
						t.Fatalf("%s version %d: %d of %d bytes are no whole request: %x", a.name, v, cut, len(body), body)
					}
				}
			}
		}
	}
}

// What DecodedSize promises rests on no element being larger than elementCost.
func TestNoElementCostsMoreThanCounted(t *testing.T) {
	var largest func(t reflect.Type) uintptr
	largest = func(t reflect.Type) (size uintptr) {
		switch t.Kind() {
		case reflect.Struct:
			for i := range t.NumField() {
				size = max(size, largest(t.Field(i).Type))
			}
		case reflect.Slice:
			size = max(t.Elem().Size(), largest(t.Elem()))
		case reflect.Pointer:
			size = max(t.Elem().Size(), largest(t.Elem()))
		}
		return size
	}
	one := wire.Content{Elements: 1}
	for _, a := range newAPITable().list {
		if a.shape == nil {
			continue
		}
		if size := largest(reflect.TypeOf(kmsg.RequestForKey(a.key)).Elem()); int64(size) > one.DecodedSize() {
			t.Errorf("%s: an element takes %d bytes", a.name, size)
		}
	}
}
