package percent

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// piece appends one part of the template.
type piece func(dst []byte, r *kgo.Record) []byte

// Format is a compiled template. It is immutable and safe for concurrent use.
type Format struct{ pieces []piece }

// Append writes r by the template behind dst.
func (f *Format) Append(dst []byte, r *kgo.Record) []byte {
	for _, p := range f.pieces {
		dst = p(dst, r)
	}
	return dst
}

// Compile reads a template of the codes in the package comment.
func Compile(template string) (*Format, error) {
	var f Format
	err := parse(template, func(lit []byte) {
		f.pieces = append(f.pieces, func(dst []byte, _ *kgo.Record) []byte { return append(dst, lit...) })
	}, func(code rune, arg string, hasArg bool) error {
		p, err := recordCode(code, arg, hasArg)
		f.pieces = append(f.pieces, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("format %q: %w", template, err)
	}
	return &f, nil
}

// parse cuts a template into literal bytes and codes, in order; adjacent literal bytes arrive together.
func parse(s string, literal func([]byte), code func(c rune, arg string, hasArg bool) error) error {
	var lit []byte
	flush := func() {
		if len(lit) > 0 {
			literal(lit)
			lit = nil
		}
	}
	for len(s) > 0 {
		switch {
		case s[0] == '\\':
			b, used, err := escape(s)
			if err != nil {
				return err
			}
			lit, s = append(lit, b), s[used:]
		case s[0] != '%':
			lit, s = append(lit, s[0]), s[1:]
		case len(s) == 1:
			return fmt.Errorf("a single %% at the end; write %%%% for a percent sign")
		case s[1] == '%':
			lit, s = append(lit, '%'), s[2:]
		default:
			c, n := utf8.DecodeRuneInString(s[1:])
			s = s[1+n:]
			arg, rest, hasArg, err := argument(c, s)
			if err != nil {
				return err
			}
			flush()
			if err := code(c, arg, hasArg); err != nil {
				return err
			}
			s = rest
		}
	}
	flush()
	return nil
}

// argument reads the {…} behind a code that may have one. Braces inside must be balanced: %h{{%k}} is an inner "{%k}".
func argument(c rune, s string) (arg, rest string, ok bool, err error) {
	if !strings.ContainsRune("hd", c) || !strings.HasPrefix(s, "{") {
		return "", s, false, nil
	}
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return s[1:i], s[i+1:], true, nil
			}
		}
	}
	return "", "", false, fmt.Errorf("%%%c{ has no closing }", c)
}
