package access

import (
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

const (
	relistAge = 5 * time.Second  // in which a change of a folder may have the same time as the one before
	relistAll = 10 * time.Second // after which a folder is listed whatever its time is: clocks of file servers differ
)

// A shelf looks at a drawer that other edges put entries into. Everything is in the entries' names: opening each of many thousand
// files again and again would cost more than what the edge is for.
type shelf struct {
	drawer  *state.Drawer
	changed time.Time // by the drawer's own clock, when it was listed
	listed  time.Time
}

// look lists the entries' names, unless the drawer is as it was. One whose time is over is listed until it is swept.
func (s *shelf) look() (keys []string, same bool, err error) {
	changed, err := s.drawer.Changed()
	if err != nil {
		return nil, false, err
	}
	if changed.Equal(s.changed) && s.listed.Sub(s.changed) > relistAge && time.Since(s.listed).Abs() < relistAll {
		return nil, true, nil
	}
	now := time.Now()
	if keys, err = s.drawer.Keys(); err != nil {
		return nil, false, err
	}
	s.changed, s.listed = changed, now
	return keys, false, nil
}

// A name may end in a moment, whose meaning is the entry's.
func withMoment(name string, at time.Time) string {
	return name + "@" + strconv.FormatInt(at.Unix(), 10)
}

func cutMoment(key string) (name string, at time.Time, ok bool) {
	name, text, ok := strings.Cut(key, "@")
	seconds, err := strconv.ParseInt(text, 10, 64)
	return name, time.Unix(seconds, 0), ok && err == nil
}
