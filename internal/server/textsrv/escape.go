package textsrv

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// unescape decodes, in place, the escapes of a key or value: \n \r \t \\, \xNN for any byte, \e for nothing at all (an empty key), and
// \N as the whole text for null. The result is nil for null only.
func unescape(text []byte) ([]byte, error) {
	first := bytes.IndexByte(text, '\\')
	if first < 0 {
		return text, nil
	}
	if string(text) == `\N` {
		return nil, nil
	}
	out := text[:first]
	for i := first; i < len(text); i++ {
		if text[i] != '\\' {
			out = append(out, text[i])
			continue
		}
		if i++; i == len(text) {
			return nil, fmt.Errorf(`a backslash at the end escapes nothing; write \\ for a backslash`)
		}
		switch text[i] {
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case '\\':
			out = append(out, '\\')
		case 'e':
		case 'x':
			if i+2 >= len(text) || !isHex(text[i+1]) || !isHex(text[i+2]) {
				return nil, fmt.Errorf(`\x needs two hex digits, as in \x1f; write \\x for a backslash and an x`)
			}
			out = append(out, hex(text[i+1])<<4|hex(text[i+2]))
			i += 2
		default:
			return nil, fmt.Errorf(`\%s is no escape: there are \n \r \t \\ \xNN \e, and \N alone for null; write \\ for a backslash`, printable(text[i:i+1]))
		}
	}
	return out, nil
}

// unescapeValue is unescape, but a JSON object or array is taken as it is: its backslashes are JSON's own.
func unescapeValue(text []byte) ([]byte, error) {
	if bytes.IndexByte(text, '\\') >= 0 && (text[0] == '{' || text[0] == '[') && json.Valid(text) {
		return text, nil
	}
	return unescape(text)
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' }

func hex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// printable is what a person sent, short enough and safe to show in an answer.
func printable(b []byte) string {
	const most = 40
	more := ""
	if len(b) > most {
		b, more = b[:most], "…"
	}
	q := fmt.Sprintf("%q", b)
	return q[1:len(q)-1] + more
}
