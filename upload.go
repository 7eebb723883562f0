package redoubt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/input"
	"github.com/redoubt-dev/redoubt/layer/input/file"
	"github.com/redoubt-dev/redoubt/layer/input/file/examine"
	"github.com/redoubt-dev/redoubt/layer/input/file/store"
	"github.com/redoubt-dev/redoubt/layer/rls"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

// Download answers a GET with a file (SYSTEM N2): h says which, by its own query of what the caller may see. A picture is shown where a page has
// it, everything else is saved; ranges and conditions are answered.
func Download[In any](pattern string, access Access, h Handler[In, *file.Content]) Route {
	return declare(pattern, access, download_, h)
}

// Bounds of a request that carries a file, or is answered with one. Whoever is slow is still cut where nothing moves for half a minute.
const fileTimeout = 15 * time.Minute

// examiner is one for the whole process, since what it bounds is the machine's.
var examiner = sync.OnceValues(func() (*examine.Examiner, error) { return examine.New(examine.Config{}) })

// OpenFiles makes what keeps files in a store and gives them, for who does so beside a Server: a command that fills in an example, a job.
func OpenFiles(db *rls.DB, keep store.Store) (*file.Files, error) {
	examiner, err := examiner()
	if err != nil {
		return nil, err
	}
	return file.New(file.Config{DB: db, Store: keep, Examine: examiner.Examine, Change: changer(db)})
}

// openFiles prepares for routes about files, if there is a place for them.
func (s *Server) openFiles() (err error) {
	if s.cfg.Files == nil {
		return nil
	}
	if s.files, err = OpenFiles(s.cfg.DB, s.cfg.Files); err != nil {
		return err
	}
	s.spool, err = input.NewSpool(input.SpoolConfig{Dir: s.cfg.Spool})
	return err
}

// changer is the third gate, for a layer that does not know it.
func changer(db *rls.DB) func(context.Context, layer.Principal, string, func(rls.Asker) error) error {
	return func(ctx context.Context, who layer.Principal, scope string, act func(rls.Asker) error) error {
		_, err := action.Do(ctx, db, who, scope, func(tx *action.Tx) (struct{}, error) { return struct{}{}, act(tx) })
		return err
	}
}

// content reports whether the body of a request for t is a file.
func content(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && slices.ContainsFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool { return f.Tag.Get("body") != "" })
}

// uploads reports whether r takes files.
func (r Route) uploads() bool {
	return r.Takes() == input.ModeContent || r.Takes() == input.ModeForm && r.schema.Enctype() == "multipart/form-data"
}

// storable refuses a route that takes files where there is nowhere to keep them.
func (s *Server) storable(r Route) error {
	if s.files == nil && (r.kind == download_ || r.uploads()) {
		return fmt.Errorf("route %q: it is about files, and Config.Files says nowhere to keep them", r.Pattern)
	}
	return nil
}

// wider gives requests about files the room and the time that they need.
func (s *Server) wider(r *http.Request) transport.Bounds {
	if len(s.wide) == 0 {
		return transport.Bounds{}
	}
	_, pattern := s.mux.Handler(r)
	return s.wide[pattern]
}

// widen notes what wider gives to requests for r.
func (s *Server) widen(r Route) {
	switch {
	case r.kind == download_:
		s.wide[r.Pattern] = transport.Bounds{HandlerTimeout: fileTimeout}
	case r.uploads():
		s.wide[r.Pattern] = transport.Bounds{MaxBody: r.schema.MaxBody(input.Limits{}), HandlerTimeout: fileTimeout}
	}
}

// download sends a file: exactly typed, shown only if it is a picture, kept by this browser alone. Transport adds nosniff and a policy
// that sandboxes it.
func (c *call) download(out *file.Content) error {
	defer out.Close()
	how := "attachment"
	if out.Inline {
		how = "inline"
	}
	h := c.w.Header()
	h.Set("Content-Type", out.MediaType)
	h.Set("Content-Disposition", mime.FormatMediaType(how, map[string]string{"filename": out.Name}))
	h.Set("ETag", `"`+out.Tag+`"`)
	h.Set("Cache-Control", transport.Kept)
	if strings.Contains(c.r.Header.Get("Range"), ",") {
		c.r.Header.Del("Range") // several at once are answered with all of it (RFC 9110 section 14.2), of which the type stays exact
	}
	http.ServeContent(c.w, c.r, "", time.Time{}, out)
	return nil
}

// uploadsEach is how many requests with files one caller may have under way: the spool is everybody's.
const uploadsEach = 8

// A turnstile counts the requests with files that are under way, by whoever sends them.
type turnstile struct {
	mu    sync.Mutex
	count map[string]int
}

// enter lets one more in, or refuses. Who is let in calls leave.
func (t *turnstile) enter(who layer.Principal) (leave func(), err error) {
	caller := cmp.Or(string(who.Person()), who.CredentialID()) // a machine is no person; strangers share one name
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count[caller] >= uploadsEach {
		return nil, &layer.Refusal{By: layer.Input, Reason: layer.Limited, Public: "You are sending as many files at once as one may. Please wait until one has arrived.", Cause: errManyUploads}
	}
	t.count[caller]++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.count[caller]--; t.count[caller] == 0 {
			delete(t.count, caller)
		}
	}, nil
}

var errManyUploads = errors.New("one caller's uploads at once")
