package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What is installed for the programs in Python and JavaScript, once, in the user's cache directory.
const (
	confluentKafka = "confluent-kafka==2.16.1"
	kafkajs        = "kafkajs@2.2.4"
)

// installed is a directory of the user's cache in which the commands have once been run to their end; the test is skipped if they fail, as
// without a registry of packages.
func installed(t *testing.T, what string, commands ...[]string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("no place for %s: %v", what, err)
	}
	dir := filepath.Join(cache, "rafka-test-clients", strings.NewReplacer("==", "-", "@", "-").Replace(what)) // env takes a = for a setting
	done := filepath.Join(dir, "installed")
	if _, err := os.Stat(done); err == nil {
		return dir
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Skipf("no place for %s: %v", what, err)
	}
	for _, c := range commands {
		for i := range c {
			c[i] = strings.ReplaceAll(c[i], "DIR", dir)
		}
		if _, err := exec.LookPath(c[0]); err != nil {
			t.Skipf("%s is not installed", c[0])
		}
		fetch(t, what, c[0], c[1:]...)
	}
	if err := os.WriteFile(done, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// script runs a program of testdata, which checks what it sees itself, against a broker of its own.
func script(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	srv := serve(t, quickGroups...)
	out, ok := run(t, 3*time.Minute, "", "env", append(append(env, name), append(args, srv.Kafka)...)...)
	if !ok {
		t.Fatalf("%s failed:\n%s\nthe broker:\n%s", filepath.Base(args[0]), tail(out), tail(srv.Log()))
	}
	t.Log(strings.TrimSpace(out))
}

func TestConfluentKafkaInGroupsAndTransactions(t *testing.T) {
	need(t, "python3", "env")
	t.Parallel()
	dir := installed(t, confluentKafka, []string{"python3", "-m", "venv", "DIR"}, []string{"DIR/bin/pip", "install", "-q", confluentKafka})
	script(t, nil, filepath.Join(dir, "bin", "python"), filepath.Join("testdata", "python", "pipe.py"))
}

func TestKafkajsInGroupsAndTransactions(t *testing.T) {
	need(t, "node", "npm", "env")
	t.Parallel()
	dir := installed(t, kafkajs, []string{"npm", "install", "-s", "--no-save", "--prefix", "DIR", kafkajs})
	script(t, []string{"NODE_PATH=" + filepath.Join(dir, "node_modules")}, "node", filepath.Join("testdata", "js", "pipe.js"))
}
