package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files again")

// ourDefaults are the defaults that differ from Kafka's, for a broker that starts without a configuration.
var ourDefaults = map[string]string{"broker node.id": "1", "broker process.roles": "broker,controller", "broker controller.listener.names": "CONTROLLER"}

var scopeNames = map[string]Scope{"broker": Broker, "topic": Topic, "group": Group}

// CFG-2: the facts of Kafka 4.4, key by key, and no key of Kafka's scopes beside them but ours.
func TestTableHasTheFactsOfKafka44(t *testing.T) {
	data, err := os.ReadFile("testdata/kafka-4.4.tsv")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if f[0] == "scope" {
			continue
		}
		scope, ok := scopeNames[f[0]]
		if !ok || len(f) != 6 {
			t.Fatalf("line %q", line)
		}
		id := f[0] + " " + f[1]
		known[id] = true
		k, ok := Lookup(scope, f[1])
		if !ok {
			t.Errorf("%s is missing", id)
			continue
		}
		want := strings.TrimPrefix(f[3], "class ")
		none := want == "null" || want == "(required)"
		if none {
			want = ""
		}
		if k.Type == List && strings.HasPrefix(want, "[") {
			want = strings.ReplaceAll(strings.Trim(want, "[]"), ", ", ",")
		}
		if ours, ok := ourDefaults[id]; ok {
			want, none = ours, false
		}
		if k.Type.String() != f[2] || k.Default != want || k.NoDefault != none || k.Importance.String() != f[4] || k.Valid != f[5] {
			t.Errorf("%s: %+v, want %v", id, *k, f)
		}
	}
	for name, scope := range scopeNames {
		for _, k := range Keys(scope) {
			ours := strings.HasPrefix(k.Name, "rafka.") || k.Hidden || k.Name == "write.caching" || ourGroupKeys[k.Name]
			if !known[name+" "+k.Name] && !ours {
				t.Errorf("%s %s is no key of Kafka 4.4 and is not hidden", name, k.Name)
			}
		}
	}
	if len(known) != 379+38+27 {
		t.Errorf("%d facts", len(known))
	}
}

// ourGroupKeys go by the names of Kafka's keys of share groups, for they stand beside them.
var ourGroupKeys = map[string]bool{
	"share.ordering": true, "share.retry.backoff.ms": true, "share.retry.backoff.multiplier": true, "share.retry.backoff.max.ms": true, "share.redelivery.priority": true,
}

// Laws between the columns: defaults are valid, acting keys are explained, a topic's default is that of its broker key.
func TestTableIsConsistent(t *testing.T) {
	emptyDefault := map[string]bool{"controller.quorum.voters": true, "controller.quorum.bootstrap.servers": true} // Kafka's: valid only unset
	for scope := range scopes {
		for _, k := range Keys(scope) {
			if !k.NoDefault && !emptyDefault[k.Name] {
				if err := k.Validate(k.Default); err != nil {
					t.Errorf("%v %s: the default is invalid: %v", scope, k.Name, err)
				}
			}
			if (k.Tier == Acts) != (k.Doc != "") {
				t.Errorf("%v %s: a line of documentation belongs to keys that act, and to no other", scope, k.Name)
			}
			if k.Doc != "" && !strings.HasSuffix(k.Doc, ".") {
				t.Errorf("%v %s: the line is no sentence", scope, k.Name)
			}
			if k.NoDefault && k.Default != "" || scope != Broker && k.Mode != ReadOnly || scope == Broker && len(k.Broker) > 0 {
				t.Errorf("%v %s: %+v", scope, k.Name, *k)
			}
			if k.AliasOf != "" {
				mustLookup(scope, k.AliasOf)
			}
			if len(k.Broker) > 0 {
				if e, _ := new(Layers).Effective(scope, k.Name); e.Value == nil || *e.Value != k.Default || e.Source != SourceDefault {
					t.Errorf("%v %s: the default is %s, by way of the broker it is %+v", scope, k.Name, k.Default, e)
				}
			}
		}
	}
	if n := len(new(Layers).Describe(Topic)); n != 37+8 {
		t.Errorf("a topic is described with %d keys, want Kafka's 37 and 8 of ours", n)
	}
}

func TestLookupOfListenerKeys(t *testing.T) {
	for name, base := range map[string]string{
		"listener.name.internal.ssl.keystore.password":   "ssl.keystore.password",
		"listener.name.external.plain.sasl.jaas.config":  "sasl.jaas.config",
		"listener.name.external.max.connections":         "max.connections",
		"listener.name.external.scram-sha-256.max.x":     "",
		"listener.name.external":                         "",
		"listener.name.":                                 "",
		"listener.name.a.b.ssl.keystore.password.really": "",
	} {
		k, ok := Lookup(Broker, name)
		if ok != (base != "") {
			t.Errorf("%s: %v", name, ok)
		} else if ok && (k.Name != name || k.Type != mustLookup(Broker, base).Type || k.Sensitive() != mustLookup(Broker, base).Sensitive()) {
			t.Errorf("%s: %+v", name, *k)
		}
	}
	if _, ok := Lookup(Topic, "listener.name.internal.ssl.keystore.password"); ok {
		t.Error("topics have no listeners")
	}
}

// The page in docs is what the table says.
func TestReferencePageIsCurrent(t *testing.T) {
	page := filepath.Join("..", "..", "docs", "reference", "configuration.md")
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(page), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(page, []byte(Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ReplaceAll(string(got), "\r\n", "\n") != Reference() {
		t.Error("docs/reference/configuration.md is not what the table says: go test ./internal/config -run Reference -rewrite")
	}
}
