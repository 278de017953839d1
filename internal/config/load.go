package config

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Sources are where settings come from. The caller reads files and environment; later sources go before earlier ones (CFG-4).
type Sources struct {
	Values map[string]string // of a program that embeds the broker; weaker than files
	Files  []File            // later files go before earlier ones
	Env    []string          // NAME=VALUE, as of os.Environ
	Flags  []string          // KEY=VALUE, as of --set; the last one wins
}

// File is a configuration file.
type File struct {
	Name string // for messages; .properties is Java's syntax, .yaml and .yml are YAML, others are looked at
	Data []byte
}

// Notice is something the operator should read once: a key without effect, a default directory.
type Notice struct {
	Keys []string // what it is about
	Text string
}

// originDefault is the origin of a default that depends on the platform.
const originDefault = "default"

// entry is a setting as a source has it.
type entry struct{ key, value, origin string }

// Load merges the sources into a Static. The error lists every key that is unknown or has an invalid value, each with where it stands; it
// joins one error for each (errors.Join).
func Load(src Sources) (*Static, []Notice, error) {
	l := loader{values: map[string]setting{}}
	for _, key := range slices.Sorted(maps.Keys(src.Values)) {
		l.take(entry{key, src.Values[key], "the program"})
	}
	for _, f := range src.Files {
		entries, err := parseFile(f)
		if err != nil {
			l.errs = append(l.errs, err)
		}
		for _, e := range entries {
			l.take(e)
		}
	}
	entries, notices := fromEnvironment(src.Env)
	l.notices = append(l.notices, notices...)
	for _, e := range entries {
		l.take(e)
	}
	for _, f := range src.Flags {
		key, value, ok := strings.Cut(f, "=")
		if !ok {
			l.errs = append(l.errs, fmt.Errorf("--set %s: expected KEY=VALUE", f))
			continue
		}
		l.take(entry{strings.TrimSpace(key), value, "--set"})
	}
	if len(l.errs) > 0 {
		return nil, nil, errors.Join(l.errs...)
	}
	s := &Static{values: l.values}
	if dir := l.defaultDir(src.Env); dir != "" {
		s.values["log.dir"] = setting{dir, originDefault}
		l.notices = append(l.notices, Notice{[]string{"log.dirs"}, "data goes to " + dir + ": set log.dirs to have it elsewhere"})
	}
	if err := s.check(); err != nil {
		return nil, nil, err
	}
	return s, append(l.notices, s.withoutEffect()...), nil
}

type loader struct {
	values  map[string]setting
	notices []Notice
	errs    []error
}

// take puts a setting over what weaker sources said.
func (l *loader) take(e entry) {
	k, ok := Lookup(Broker, e.key)
	if !ok {
		l.errs = append(l.errs, unknownKey(e))
		return
	}
	value := strings.TrimSpace(e.value)
	if err := k.Validate(value); err != nil {
		l.errs = append(l.errs, fmt.Errorf("%s: %w", e.origin, err))
		return
	}
	name := k.Name
	if k.AliasOf != "" {
		name = k.AliasOf
		if k.Name == "rafka.kafka.address" {
			if wrong := checkAddress(value); wrong != "" {
				l.errs = append(l.errs, fmt.Errorf("%s: %s=%s: %s", e.origin, k.Name, value, wrong))
				return
			}
			if value != "" {
				value = "PLAINTEXT://" + value
			}
		}
	}
	l.values[name] = setting{value, e.origin}
	if name == "log.dirs" {
		delete(l.values, "log.dir") // of a weaker source
	}
	if name == "log.dir" && l.values["log.dirs"].origin != "" && !sameSource(l.values["log.dirs"].origin, e.origin) {
		delete(l.values, "log.dirs")
	}
}

// sameSource reports whether two origins are one file, or the environment: log.dirs goes before log.dir within one, not across.
func sameSource(a, b string) bool {
	source := func(o string) string {
		if strings.HasPrefix(o, "environment variable ") {
			return "environment"
		}
		if i := strings.LastIndexByte(o, ':'); i > 0 {
			return o[:i]
		}
		return o
	}
	return source(a) == source(b)
}

func unknownKey(e entry) error {
	if why := whyRemoved(e.key); why != "" {
		return fmt.Errorf("%s: %s: %s", e.origin, e.key, why)
	}
	if near := Suggest(Broker, e.key); near != "" {
		return fmt.Errorf("%s: unknown key %s: did you mean %s?", e.origin, e.key, near)
	}
	return fmt.Errorf("%s: unknown key %s: the keys are listed in docs/reference/configuration.md", e.origin, e.key)
}

// check looks at settings together.
func (s *Static) check() error {
	var errs []error
	wrong := func(key, format string, args ...any) {
		err := fmt.Errorf(format, args...)
		if _, origin, ok := s.Set(key); ok {
			err = fmt.Errorf("%s: %w", origin, err)
		}
		errs = append(errs, err)
	}
	if !slices.Contains(s.List("process.roles"), "broker") {
		wrong("process.roles", "process.roles must include broker: a node that is only a controller is not supported")
	}
	if id, _, ok := s.Set("broker.id"); ok && parseInt(id) >= 0 && parseInt(id) != int64(s.NodeID()) {
		wrong("broker.id", "broker.id is %s and node.id is %d: they are two names of one setting, remove broker.id", id, s.NodeID())
	}
	for _, key := range []string{"listeners", "advertised.listeners"} {
		list, err := s.listeners(key)
		if err != nil {
			wrong(key, "%w", err)
		}
		for _, l := range list {
			if l.Protocol != "PLAINTEXT" && !l.Controller {
				wrong(key, "listener %s is %s: this release serves PLAINTEXT only", l.Name, l.Protocol)
			}
		}
	}
	if high, low := s.Duration("log.cleaner.max.compaction.lag.ms"), s.Duration("log.cleaner.min.compaction.lag.ms"); low > high {
		wrong("log.cleaner.min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms is longer than log.cleaner.max.compaction.lag.ms")
	}
	return errors.Join(errs...)
}

// withoutEffect names the keys that were set to something and do nothing, once for each tier.
func (s *Static) withoutEffect() []Notice {
	var notices []Notice
	for tier, text := range map[Tier]string{Ignored: "accepted, never with an effect here", Planned: "accepted, without an effect in this release"} {
		var keys, places []string
		for _, name := range slices.Sorted(maps.Keys(s.values)) {
			k := mustLookup(Broker, name)
			if k.Tier == tier && !k.isDefault(s.values[name].value) {
				keys, places = append(keys, name), append(places, name+" ("+s.values[name].origin+")")
			}
		}
		if len(keys) > 0 {
			notices = append(notices, Notice{keys, text + ": " + strings.Join(places, ", ")})
		}
	}
	slices.SortFunc(notices, func(a, b Notice) int { return strings.Compare(a.Text, b.Text) })
	return notices
}

// defaultDir is where data goes when nobody says: the place that the platform has for the data of programs.
func (l *loader) defaultDir(env []string) string {
	if l.values["log.dirs"].value != "" || l.values["log.dir"].value != "" || l.values["rafka.storage.engine"].value == "memlog" {
		return ""
	}
	get := func(name string) string {
		for _, e := range env {
			if v, ok := strings.CutPrefix(e, name+"="); ok {
				return v
			}
		}
		return ""
	}
	home := get("HOME")
	switch {
	case runtime.GOOS == "windows" && get("LOCALAPPDATA") != "":
		return filepath.Join(get("LOCALAPPDATA"), "rafka")
	case filepath.IsAbs(get("XDG_DATA_HOME")):
		return filepath.Join(get("XDG_DATA_HOME"), "rafka")
	case runtime.GOOS == "darwin" && home != "":
		return filepath.Join(home, "Library", "Application Support", "rafka")
	case home != "" && home != "/":
		return filepath.Join(home, ".local", "share", "rafka")
	}
	return "rafka-data" // a container or a service without a home: below where it was started
}
