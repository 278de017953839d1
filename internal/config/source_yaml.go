package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxYAML and maxYAMLDepth bound what is parsed: a configuration is small and flat.
const (
	maxYAML      = 1 << 20
	maxYAMLDepth = 20
)

// earlierKeys are those of the config.yml of earlier versions of Rafka, and what they are called now.
var earlierKeys = map[string]string{
	"log.level":                       "rafka.log.level",
	"broker.replication_factor":       "default.replication.factor",
	"broker.default_topic_partitions": "num.partitions",
	"storage.path":                    "log.dirs",
	"storage.type":                    "rafka.storage.engine",
	"storage.storage_type":            "rafka.storage.engine",
}

// earlierEngines are the names that storage.type had.
var earlierEngines = map[string]string{
	"file": "seglog", "disk": "seglog", "filesystem": "seglog", "wal": "seglog", "memory": "memlog", "inmemory": "memlog", "in_memory": "memlog", "in-memory": "memlog",
}

// parseYAML reads nested maps as names with dots: {log: {retention: {ms: 1}}} is log.retention.ms=1. A sequence is a list.
func parseYAML(f File) ([]entry, error) {
	if len(f.Data) > maxYAML {
		return nil, fmt.Errorf("%s has %d bytes: a configuration has at most %d", f.Name, len(f.Data), maxYAML)
	}
	file, err := parser.ParseBytes(f.Data, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, errors.New(firstLine(err.Error())))
	}
	y := yamlReader{file: f.Name}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if err := y.walk("", doc.Body, 0); err != nil {
			return nil, err
		}
	}
	return y.earlier(), nil
}

// firstLine is the error without the excerpt of the file, which may hold a password (CFG-5).
func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

type yamlReader struct {
	file    string
	entries []entry
}

func (y *yamlReader) origin(n ast.Node) string {
	return fmt.Sprintf("%s:%d", y.file, n.GetToken().Position.Line)
}

func (y *yamlReader) walk(prefix string, n ast.Node, depth int) error {
	if depth > maxYAMLDepth {
		return fmt.Errorf("%s: more than %d levels: no key has that many parts", y.origin(n), maxYAMLDepth)
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			if err := y.walk(prefix, v, depth); err != nil {
				return err
			}
		}
		return nil
	case *ast.MappingValueNode:
		key, err := y.scalar(n.Key)
		if err != nil {
			return err
		}
		if prefix != "" {
			key = prefix + "." + key
		}
		return y.walk(key, n.Value, depth+1)
	case *ast.NullNode:
		if prefix == "" {
			return nil // an empty document
		}
		y.entries = append(y.entries, entry{prefix, "", y.origin(n)})
		return nil
	case *ast.SequenceNode:
		if prefix == "" {
			break
		}
		list := make([]string, len(n.Values))
		for i, v := range n.Values {
			var err error
			if list[i], err = y.scalar(v); err != nil {
				return err
			}
		}
		y.entries = append(y.entries, entry{prefix, strings.Join(list, ","), y.origin(n)})
		return nil
	}
	if prefix == "" {
		return fmt.Errorf("%s: expected keys and values", y.origin(n))
	}
	value, err := y.scalar(n)
	if err != nil {
		return err
	}
	y.entries = append(y.entries, entry{prefix, value, y.origin(n)})
	return nil
}

// scalar is a value as it was written: 1e3 and 010 are left to the type of their key.
func (y *yamlReader) scalar(n ast.Node) (string, error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, nil
	}
	return "", fmt.Errorf("%s: expected a plain value, not %s", y.origin(n), n.Type())
}

// earlier translates the keys of earlier versions. server.host and server.port are one address together.
func (y *yamlReader) earlier() []entry {
	var out []entry
	var host, port, at string
	for _, e := range y.entries {
		switch e.key {
		case "server.host":
			host, at = e.value, e.origin
			continue
		case "server.port":
			port, at = e.value, e.origin
			continue
		}
		if now, ok := earlierKeys[e.key]; ok {
			e.key = now
			if engine, ok := earlierEngines[strings.ToLower(e.value)]; ok && now == "rafka.storage.engine" {
				e.value = engine
			}
		}
		out = append(out, e)
	}
	if at != "" {
		if port == "" {
			port = "9092"
		}
		if strings.Contains(host, ":") {
			host = "[" + strings.Trim(host, "[]") + "]"
		}
		out = append(out, entry{"rafka.kafka.address", host + ":" + port, at})
	}
	return out
}
