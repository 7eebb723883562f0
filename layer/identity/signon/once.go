package signon

import (
	"container/list"
	"sync"
	"time"
)

// maxRemembered bounds each memory of what was seen. Only what has passed every check before is put in, so strangers cannot
// push anything out.
const maxRemembered = 10_000

// A once remembers names until they would be refused anyway, and so tells the first time from the second.
type once struct {
	limit int

	mu    sync.Mutex
	until map[string]*list.Element
	order *list.List // of seen, oldest first
}

type seen struct {
	name  string
	until time.Time
}

func newOnce(limit int) *once {
	return &once{limit: limit, until: map[string]*list.Element{}, order: list.New()}
}

// first reports whether name is seen for the first time, and remembers it until then.
func (o *once) first(name string, now, until time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for e := o.order.Front(); e != nil && (o.order.Len() >= o.limit || e.Value.(seen).until.Before(now)); e = o.order.Front() {
		delete(o.until, e.Value.(seen).name)
		o.order.Remove(e)
	}
	if _, again := o.until[name]; again {
		return false
	}
	o.until[name] = o.order.PushBack(seen{name, until})
	return true
}
