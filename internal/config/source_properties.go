package config

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// parseFile reads a file in the syntax that its name, or else its content, tells.
func parseFile(f File) ([]entry, error) {
	switch strings.ToLower(path.Ext(strings.ReplaceAll(f.Name, `\`, "/"))) {
	case ".yaml", ".yml":
		return parseYAML(f)
	case ".properties":
		return parseProperties(f)
	}
	if looksLikeYAML(f.Data) {
		return parseYAML(f)
	}
	return parseProperties(f)
}

// looksLikeYAML decides by the first line that says something: Java's properties have key=value there.
func looksLikeYAML(data []byte) bool {
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		if line == "---" {
			return true
		}
		colon, equals := strings.Index(line, ":"), strings.Index(line, "=")
		return colon >= 0 && (equals < 0 || colon < equals)
	}
	return false
}

// parseProperties reads Java's syntax: key=value, key:value or key value; # and ! begin comments; a backslash at the end of a line goes on
// in the next, without the space it begins with; \t \n \r \f \uXXXX and \ before any other character. A key given twice has its last value.
func parseProperties(f File) ([]entry, error) {
	var entries []entry
	lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(string(f.Data), "\r\n", "\n"), "\r", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		number := i + 1
		line := strings.TrimLeft(lines[i], " \t\f")
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		for continues(line) {
			line = line[:len(line)-1]
			if i+1 == len(lines) {
				break
			}
			i++
			line += strings.TrimLeft(lines[i], " \t\f")
		}
		origin := fmt.Sprintf("%s:%d", f.Name, number)
		key, rest := cutKey(line)
		key, err := unescape(key)
		if err != nil {
			return entries, fmt.Errorf("%s: %w", origin, err)
		}
		value, err := unescape(rest)
		if err != nil {
			return entries, fmt.Errorf("%s: value of %s: %w", origin, key, err)
		}
		entries = append(entries, entry{key, value, origin})
	}
	return entries, nil
}

// continues reports whether a line ends with an odd number of backslashes.
func continues(line string) bool {
	n := 0
	for n < len(line) && line[len(line)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// cutKey splits at the first separator that no backslash stands before.
func cutKey(line string) (key, value string) {
	i := 0
	for i < len(line) && !strings.ContainsRune("=: \t\f", rune(line[i])) {
		if line[i] == '\\' {
			i++
		}
		i++
	}
	i = min(i, len(line))
	key, value = line[:i], strings.TrimLeft(line[i:], " \t\f")
	if value != "" && (value[0] == '=' || value[0] == ':') {
		value = strings.TrimLeft(value[1:], " \t\f")
	}
	return key, value
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			break // a backslash that nothing follows says nothing
		}
		switch s[i] {
		case 't':
			b.WriteByte('\t')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 'f':
			b.WriteByte('\f')
		case 'u':
			if len(s) < i+5 {
				return "", fmt.Errorf(`\u needs four hexadecimal digits; write \\ for a backslash`)
			}
			n, err := strconv.ParseUint(s[i+1:i+5], 16, 16)
			if err != nil {
				return "", fmt.Errorf(`\u needs four hexadecimal digits; write \\ for a backslash`)
			}
			b.WriteRune(rune(n))
			i += 4
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), nil
}
