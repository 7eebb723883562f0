package redoubt

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A Cursor is a place in a list that is ordered by time and id, newest first: the next page begins behind it. It is no secret
// and gives no right: whatever it says, rows are still only the caller's. The zero Cursor is the beginning.
type Cursor string

// CursorAt is the place of the thing with that time and id.
func CursorAt(at time.Time, id string) Cursor {
	return Cursor(fmt.Sprintf("%d-%s", at.UnixMicro(), id))
}

// Constraints bounds what a client may send as a Cursor.
func (Cursor) Constraints() reflect.StructTag {
	return `pattern:"[0-9]{1,18}-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}" maxLength:"55"`
}

// Place gives the cursor's time and id as SQL takes them: nil for the beginning.
func (c Cursor) Place() (at *time.Time, id *string) {
	micros, rest, ok := strings.Cut(string(c), "-")
	n, err := strconv.ParseInt(micros, 10, 64)
	if !ok || err != nil {
		return nil, nil
	}
	t := time.UnixMicro(n)
	return &t, &rest
}

// Paged cuts a page of size rows out of rows, which were asked for one more than that, and returns the cursor of the next page,
// zero on the last.
func Paged[T any](rows []T, size int, place func(T) Cursor) ([]T, Cursor) {
	if len(rows) <= size {
		return rows, ""
	}
	rows = rows[:size]
	return rows, place(rows[size-1])
}

// A Window asks for a part of a list. It is the input of a route that lists, by itself or embedded.
type Window struct {
	Cursor Cursor `query:"cursor,omitempty" doc:"next of the page before"`
	Limit  int    `query:"limit,omitempty" minimum:"1" maximum:"100" doc:"entries on a page; 20 if absent"`
}

const usualSize = 20

// Size is how many entries a page has.
func (w Window) Size() int {
	if w.Limit == 0 {
		return usualSize
	}
	return w.Limit
}
