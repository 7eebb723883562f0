package file

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input"
	"github.com/redoubt-dev/redoubt/layer/input/file/examine"
	"github.com/redoubt-dev/redoubt/layer/input/file/store"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

const (
	again   = `select coalesce(files.again($1, $2)::text, '')`
	intend  = `select files.intend($1, $2, $3)::text`
	keep    = `select files.keep($1, $2)::text`
	abandon = `select files.abandon($1)`
	discard = `select files.discard($1)`
)

// An object is one thing to store, with the row that says so.
type object struct {
	Variant   string `json:"variant"`
	Name      string `json:"name"`
	MediaType string `json:"media_type"`
	Size      int64  `json:"size"`
	Width     int    `json:"width"`
	Height    int    `json:"height"`

	content func() io.Reader
}

// abandonWait bounds what is still done for an upload whose request has ended.
const abandonWait = 5 * time.Second

// Keep examines an upload and keeps what came out, for who alone until a row of the application holds it (files.held_by); what nothing
// holds within a day is forgotten. The third gate is asked before anything costly is done. The error is a *layer.Refusal that says
// what is wrong with the file, or of whoever else said no; nothing of it is stored then.
//
// name is what the file is called for people, up.Name() or what came beside it: letters of one line, at most 120, without folders.
func (f *Files) Keep(ctx context.Context, who layer.Principal, up input.Upload, name string, recipe Recipe) (ID, error) {
	digest := recipe.digest(up.SHA256(), name)
	id, err := f.change(ctx, who, func(tx rls.Asker) (ID, error) { return rls.One[ID](tx, again, digest, name) })
	if err != nil || id != "" {
		return id, err
	}
	report, err := f.cfg.Examine(ctx, up.File(), up.Size(), examine.Job{Name: name, Accept: recipe.Accept, Variants: recipe.Variants})
	if err != nil {
		return "", err
	}
	objects, err := objects(up, report)
	if err != nil {
		return "", err
	}
	return f.write(ctx, who, name, digest, report.Kind, objects)
}

// write notes what is to be written, writes it, and notes that it is there: whatever ends in between, nothing lies in the store of which
// the database knows nothing.
func (f *Files) write(ctx context.Context, who layer.Principal, name string, digest []byte, kind examine.Kind, objects []object) (ID, error) {
	rows, err := json.Marshal(objects)
	if err != nil {
		return "", fmt.Errorf("describing stored objects: %w", err)
	}
	content, err := f.change(ctx, who, func(tx rls.Asker) (ID, error) { return rls.One[ID](tx, intend, digest, string(kind), rows) })
	if err != nil {
		return "", err
	}
	for _, o := range objects {
		if err = f.cfg.Store.Put(ctx, store.Key{Organization: who.Organization(), Name: o.Name}, o.content(), o.Size); err != nil {
			err = refusal(layer.Unavailable, "The file could not be stored. Please try again.", fmt.Errorf("storing an object: %w", err))
			break
		}
	}
	var id ID
	if err == nil {
		id, err = f.change(ctx, who, func(tx rls.Asker) (ID, error) { return rls.One[ID](tx, keep, content, name) })
	}
	if err != nil {
		f.abandon(ctx, who, content)
	}
	f.sweepSometimes(ctx, who)
	return id, err
}

// abandon leaves the rest to the sweep, also when the request is over. If it cannot, the hour does.
func (f *Files) abandon(ctx context.Context, who layer.Principal, content ID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonWait)
	defer cancel()
	_ = f.cfg.Change(ctx, who, Write, func(tx rls.Asker) error {
		_, err := rls.Do(tx, abandon, content)
		return err
	})
	f.Sweep(ctx, who)
}

// KeepAll keeps several files under the names that they came with, or none of them. field is what a form calls them: what is wrong with one
// stands beside it.
func (f *Files) KeepAll(ctx context.Context, who layer.Principal, field string, uploads []input.Upload, recipe Recipe) ([]ID, error) {
	var kept []ID
	for _, up := range uploads {
		id, err := f.Keep(ctx, who, up, up.Name(), recipe)
		if err != nil {
			f.Drop(ctx, who, kept...)
			return nil, beside(field, err)
		}
		kept = append(kept, id)
	}
	return kept, nil
}

// beside puts what is wrong with a file beside the field that it came in. What is wrong with us is not about the field.
func beside(field string, err error) error {
	var refusal *layer.Refusal
	if errors.As(err, &refusal) && refusal.By == layer.Input && len(refusal.Fields) == 0 && refusal.Reason != layer.Unavailable && refusal.Reason != layer.Limited {
		return &layer.Refusal{By: refusal.By, Reason: layer.Invalid, Public: refusal.Public, Cause: refusal, Fields: []layer.Field{{Name: field, Detail: refusal.Public}}}
	}
	return err
}

// Drop takes back what was kept for something that then did not come to be, also when the request is over. What it cannot take back is
// forgotten within a day.
func (f *Files) Drop(ctx context.Context, who layer.Principal, kept ...ID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonWait)
	defer cancel()
	for _, id := range kept {
		_ = f.Discard(ctx, who, id)
	}
}

// Discard takes back an upload of who's that nothing holds.
func (f *Files) Discard(ctx context.Context, who layer.Principal, id ID) error {
	err := f.cfg.Change(ctx, who, Write, func(tx rls.Asker) error {
		gone, err := rls.One[bool](tx, discard, id)
		if err == nil && !gone {
			return &layer.Refusal{By: layer.RLS, Reason: layer.NotFound, Public: "There is nothing here.", Cause: errors.New("no such upload of the caller's, or it is held")}
		}
		return err
	})
	if err != nil {
		return err
	}
	_, err = f.Sweep(ctx, who)
	return err
}

// digest tells contents apart within an organization: the same bytes by another recipe are another, and so they are under another ending,
// which examination looks at: it refuses some, and tells a table from a text.
func (r Recipe) digest(sum [sha256.Size]byte, name string) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s\n", strconv.Quote(r.Name), strconv.Quote(strings.ToLower(path.Ext(name))))
	for _, v := range r.Variants {
		fmt.Fprintf(h, "%s %d %d %t\n", strconv.Quote(v.Name), v.Width, v.Height, v.Crop)
	}
	h.Write(sum[:])
	return h.Sum(nil)
}

// objects gives everything that is to be stored its name: 128 random bits, and the extension of what it was found to be.
func objects(up input.Upload, report examine.Report) ([]object, error) {
	if len(report.Renditions) == 0 {
		name, err := store.NewName(report.Extension)
		one := object{Name: name, MediaType: report.MediaType, Size: up.Size(), content: func() io.Reader { return io.NewSectionReader(up.File(), 0, up.Size()) }}
		return []object{one}, err
	}
	var all []object
	for _, r := range report.Renditions {
		name, err := store.NewName(r.Extension)
		if err != nil {
			return nil, err
		}
		all = append(all, object{Variant: r.Variant, Name: name, MediaType: r.MediaType, Size: int64(len(r.Data)), Width: r.Width, Height: r.Height,
			content: func() io.Reader { return bytes.NewReader(r.Data) }})
	}
	return slices.Clip(all), nil
}

// change asks for an id in a transaction that writes.
func (f *Files) change(ctx context.Context, who layer.Principal, q func(rls.Asker) (ID, error)) (ID, error) {
	var id ID
	err := f.cfg.Change(ctx, who, Write, func(tx rls.Asker) (err error) {
		id, err = q(tx)
		return err
	})
	return id, err
}
