package devidp

import (
	"container/list"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
)

// A shelf is a map with a limit: a new entry pushes the oldest out. Memory stays bounded however often someone asks, and
// what is pushed out is simply refused when it is presented.
type shelf[V any] struct {
	limit int
	items map[string]*list.Element
	order *list.List // of slot[V], oldest first
}

type slot[V any] struct {
	key   string
	value V
}

func newShelf[V any](limit int) *shelf[V] {
	return &shelf[V]{limit: limit, items: map[string]*list.Element{}, order: list.New()}
}

func (s *shelf[V]) put(key string, value V) {
	s.drop(key)
	s.items[key] = s.order.PushBack(slot[V]{key, value})
	if s.order.Len() > s.limit {
		s.drop(s.order.Front().Value.(slot[V]).key)
	}
}

func (s *shelf[V]) get(key string) (value V, ok bool) {
	if e, found := s.items[key]; found {
		return e.Value.(slot[V]).value, true
	}
	return value, false
}

func (s *shelf[V]) drop(key string) {
	if e, found := s.items[key]; found {
		s.order.Remove(e)
		delete(s.items, key)
	}
}

// random is 256 bits that nobody can guess.
func random() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails: the program ends rather than go on without randomness
	return base64.RawURLEncoding.EncodeToString(b)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
