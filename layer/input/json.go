package input

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/redoubt-dev/redoubt/layer"
)

// readJSON turns a body into a tree of at most most values. The tokenizer refuses what RFC 8259 leaves to luck: a name given
// twice (RFC 8259 section 4), invalid UTF-8 and half a surrogate pair (section 8), and anything behind the value.
func readJSON(body []byte, most int) (node, error) {
	t := tree{jsontext.NewDecoder(bytes.NewBuffer(body)), most}
	root, err := t.value(0)
	if err == nil {
		if _, err = t.d.ReadToken(); err == io.EOF {
			return root, nil
		}
	}
	return node{}, t.refuse(err)
}

// A tree reads one JSON document into nodes, within bounds (SYSTEM T6).
type tree struct {
	d    *jsontext.Decoder
	left int // how many more values are taken
}

var (
	errDeep = errors.New("nested too deeply")
	errMany = errors.New("too many values")
)

func (t *tree) value(depth int) (node, error) {
	if t.left--; t.left < 0 {
		return node{}, errMany
	}
	token, err := t.d.ReadToken()
	if err != nil {
		return node{}, err
	}
	n := node{kind: byte(token.Kind())}
	switch n.kind {
	case '{', '[':
		if depth == MaxDepth {
			return node{}, errDeep
		}
		return t.fill(n, depth+1)
	case '"', '0':
		n.text = token.String()
	}
	return n, nil
}

// fill reads the members or items of n up to and including its end.
func (t *tree) fill(n node, depth int) (node, error) {
	for {
		switch t.d.PeekKind() {
		case '}', ']':
			_, err := t.d.ReadToken()
			return n, err
		}
		var m member
		if n.kind == '{' {
			name, err := t.d.ReadToken()
			if err != nil {
				return n, err
			}
			m.name = name.String()
		}
		var err error
		if m.value, err = t.value(depth); err != nil {
			return n, err
		}
		n.members = append(n.members, m)
	}
}

// refuse says what is wrong with the document. The cause keeps only a position: the tokenizer's own error quotes the input.
func (t *tree) refuse(err error) error {
	cause := fmt.Errorf("reading JSON at byte %d", t.d.InputOffset())
	switch {
	case errors.Is(err, errDeep):
		return refusal(layer.TooLarge, fmt.Sprintf("The body is nested more than %d deep.", MaxDepth), cause)
	case errors.Is(err, errMany):
		return refusal(layer.TooLarge, "The body has too many values.", cause)
	case errors.Is(err, jsontext.ErrDuplicateName):
		return refusal(layer.Malformed, "The body gives the same member twice.", cause)
	}
	return refusal(layer.Malformed, "The body is not well-formed JSON.", cause)
}
