package wire

// Shape is how a request's body is laid out, over all its versions: as much as is needed to count its elements. Generated decoders
// reserve memory for an array as soon as its count is not larger than the bytes left, at a hundred bytes for a byte; a body of 10 MiB
// then costs 640 MiB, or hours of counting tags that are not there. Walk it before you decode it.
type Shape []Field

// Field is one field of a structure. Make it with the functions below.
type Field struct {
	kind     fieldKind
	size     int // fixed: bytes
	since    int16
	until    int16 // 0: no end
	elements Shape // structures: array, optional, struct
}

type fieldKind int8

const (
	fixedField    fieldKind = iota
	stringField             // nullable or not
	arrayField              // of structures
	plainArray              // of fixed-size values
	stringArray             // of strings
	optionalField           // a structure behind a byte that is negative for null
	structField             // a structure that is always there
	bytesField              // bytes, nullable or not
)

// Fixed is a field of n bytes: 1 for a boolean or an int8, 16 for an id.
func Fixed(n int) Field { return Field{kind: fixedField, size: n} }

// Text is a string, nullable or not.
func Text() Field { return Field{kind: stringField} }

// Bytes is a field of bytes, nullable or not. Decoders let it alias the body.
func Bytes() Field { return Field{kind: bytesField} }

// Array is an array of structures.
func Array(of ...Field) Field { return Field{kind: arrayField, elements: of} }

// FixedArray is an array of values of n bytes.
func FixedArray(n int) Field { return Field{kind: plainArray, size: n} }

// TextArray is an array of strings.
func TextArray() Field { return Field{kind: stringArray} }

// Optional is a structure that may be null.
func Optional(of ...Field) Field { return Field{kind: optionalField, elements: of} }

// Struct is a structure within another one.
func Struct(of ...Field) Field { return Field{kind: structField, elements: of} }

// Since says that the field is there from version v on.
func (f Field) Since(v int16) Field { f.since = v; return f }

// Until says that the field is there up to version v, v > 0.
func (f Field) Until(v int16) Field { f.until = v; return f }

// Content is what a body holds.
type Content struct {
	Elements int // of arrays, at all depths
	Tags     int // tagged fields, which decoders keep in maps
	Bytes    int // of the body
}

// What decoding costs, in bytes, from above: the largest element of a request with its string headers and pointers, and a map with one
// entry for the tags of one structure.
const (
	elementCost = 240
	tagCost     = 448
)

// DecodedSize is what decoding reserves at most, in bytes.
func (c Content) DecodedSize() int64 {
	return int64(c.Elements)*elementCost + int64(c.Tags)*tagCost + int64(c.Bytes)
}

// Walk counts what is in a body of that version, or returns ErrMalformed if it is cut short or lies about a count or a length. It
// reserves nothing. Bytes behind the last field are let be, as Kafka does.
func (s Shape) Walk(body []byte, version int16, flexible bool) (Content, error) {
	w := walker{r: NewReader(body), version: version, flexible: flexible}
	w.structure(s)
	w.content.Bytes = len(body)
	return w.content, w.r.Err()
}

type walker struct {
	r        Reader
	version  int16
	flexible bool
	content  Content
}

func (w *walker) structure(s Shape) {
	for i := range s {
		f := &s[i]
		if w.version < f.since || f.until > 0 && w.version > f.until {
			continue
		}
		switch f.kind {
		case fixedField:
			w.r.Span(f.size)
		case stringField:
			w.r.NullableString(w.flexible)
		case bytesField:
			w.r.NullableBytes(w.flexible)
		case plainArray:
			n := w.r.Count(w.flexible, f.size)
			w.r.Span(n * f.size)
			w.content.Elements += n
		case stringArray:
			n := w.r.Count(w.flexible, 1)
			for range n {
				w.r.NullableString(w.flexible)
			}
			w.content.Elements += n
		case arrayField:
			n := w.r.Count(w.flexible, 1)
			for range n {
				if w.r.bad {
					return
				}
				w.content.Elements++
				w.structure(f.elements)
			}
		case optionalField:
			if w.r.Int8() >= 0 && !w.r.bad {
				w.content.Elements++
				w.structure(f.elements)
			}
		case structField:
			w.structure(f.elements)
		}
	}
	if w.flexible {
		w.content.Tags += w.r.SkipTags()
	}
}
