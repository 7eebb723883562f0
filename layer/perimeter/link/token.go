package link

import (
	"container/list"
	"crypto/sha256"
)

// Tokens are long and come with every request of the same person, so that each is sent once and then called by number. The edge
// decides which it forgets; the application only keeps to the bounds, so that the two cannot come apart.

type token struct {
	index uint16
	text  string
	hash  [32]byte
}

var noToken = &token{hash: sha256.Sum256(nil)}

// sentTokens is the edge's side: the least recently used gives way.
type sentTokens struct {
	by    map[string]*list.Element
	used  *list.List // of *token, most recent first
	bytes int
	free  []uint16
	high  uint16 // indices in use or free are 1…high
}

func newSentTokens() *sentTokens {
	return &sentTokens{by: map[string]*list.Element{}, used: list.New()}
}

// find returns the number of text, having appended to out what the peer must be told first.
func (t *sentTokens) find(out []byte, text string) ([]byte, *token) {
	if text == "" {
		return out, noToken
	}
	if e := t.by[text]; e != nil {
		t.used.MoveToFront(e)
		return out, e.Value.(*token)
	}
	for t.bytes+len(text) > MaxTokenBytes || t.used.Len() >= MaxTokens {
		out = t.forget(out)
	}
	k := &token{index: t.index(), text: text, hash: sha256.Sum256([]byte(text))}
	t.by[text] = t.used.PushFront(k)
	t.bytes += len(text)
	return appendToken(out, k.index, text), k
}

func (t *sentTokens) forget(out []byte) []byte {
	k := t.used.Remove(t.used.Back()).(*token)
	delete(t.by, k.text)
	t.bytes -= len(k.text)
	t.free = append(t.free, k.index)
	return appendToken(out, k.index, "")
}

func (t *sentTokens) index() uint16 {
	if n := len(t.free); n > 0 {
		i := t.free[n-1]
		t.free = t.free[:n-1]
		return i
	}
	t.high++
	return t.high
}

func appendToken(dst []byte, index uint16, text string) []byte {
	dst = appendHeader(dst, frameToken, 0, 2+len(text))
	return append(append(dst, byte(index>>8), byte(index)), text...)
}

// knownTokens is the application's side. A text is one string for all requests that bear it, so that whoever verifies tokens can
// remember it cheaply.
type knownTokens struct {
	at    []*token // index-1
	bytes int
}

func (t *knownTokens) learn(payload []byte) error {
	index, text := int(payload[0])<<8|int(payload[1]), string(payload[2:])
	if index == 0 || index > MaxTokens || index > len(t.at)+1 {
		return broken("token at index %d", index)
	}
	if index == len(t.at)+1 {
		t.at = append(t.at, nil)
	}
	if old := t.at[index-1]; old != nil {
		t.bytes -= len(old.text)
		t.at[index-1] = nil
	}
	if text == "" {
		return nil
	}
	if t.bytes += len(text); t.bytes > MaxTokenBytes {
		return broken("more than %d bytes of tokens", MaxTokenBytes)
	}
	t.at[index-1] = &token{uint16(index), text, sha256.Sum256([]byte(text))}
	return nil
}

func (t *knownTokens) get(index uint16) (*token, error) {
	if index == 0 {
		return noToken, nil
	}
	if int(index) > len(t.at) || t.at[index-1] == nil {
		return nil, broken("reference to a token that was not sent")
	}
	return t.at[index-1], nil
}
