// Package store keeps the content of files where no web server looks, under names of its own (SYSTEM N2): in a folder, by Dir, or at a
// server that speaks S3, by S3. It exists so that whoever handles files has no path in hand: what goes in is a Key, which is an
// organization and a random name, and what comes out is the content. Objects never change. There is no listing.
//
// # What it assumes has failed
//
// The checks before it: a key may come straight from a request, a content may be longer or shorter than announced, or end in the
// middle. Of a folder it assumes that somebody has planted links in it. Of an S3 server it assumes that it may be slow, dead or
// wrong at any moment.
//
// # What it stops
//
// A name that is a path, or anything else that NewName did not make. Overwriting: the second Put of a key is refused, of two at once
// one wins. Half an object after a crash, a full disk or an upload that broke off. Leaving the folder, through links too. A Put whose
// reader is still being read when it has returned. Content that arrives changed at an S3 server, which a checksum shows; and content
// that comes back changed, where the server has kept the checksum and the whole is read in order.
//
// # What it does not stop
//
// Whoever can write to the folder or to the bucket by another way can replace objects, and whoever can read there can read them. A
// Store is small so that another can wrap it: sealing, with a key per organization, is such a wrapper, and the tests have one.
// It does not decide who may read: a key in hand opens the object, so the caller asks the database first. It does not count: how much
// an organization stores is the caller's to bound.
//
// # How it is knocked out in a drill
//
// Give the Store that knows no organization in its place: one that asks for the name alone. Then a name that leaks out of one
// organization opens its content in another, unless the database has refused to name it.
//
// # Example
//
//	objects, err := store.OpenDir("/var/lib/shop/objects")
//	…
//	name, err := store.NewName(".jpg")
//	…
//	key := store.Key{Organization: who.Organization(), Name: name}
//	err = objects.Put(ctx, key, picture, size)
//	…
//	content, err := objects.Open(ctx, key)
//	…
//	defer content.Close()
//	http.ServeContent(w, r, "", time.Time{}, content)
package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
)

// A Key names an object. It is two strict expressions and no path: Dir and S3 make of it where they look.
type Key struct {
	Organization layer.OrgID // whose it is; the same name in another organization is another object
	Name         string      // from NewName
}

// A Store keeps objects. It may be used concurrently. Every method honours ctx, and checks the key itself.
//
// It is the seam for whatever changes content on its way, such as sealing with a key per organization (SYSTEM S5): a Store that
// wraps a Store. Range requests go through it, because Content seeks.
type Store interface {
	// Put keeps what r has, which must be exactly size bytes long. It returns when the object is safe and whole, or not there at all;
	// and never before it is done with r, so that a reader which blocks holds it up. A key that is there is refused with ErrExists.
	Put(ctx context.Context, key Key, r io.Reader, size int64) error
	// Open finds an object, or returns ErrNotFound. The content may be read while ctx lives, and must be closed.
	Open(ctx context.Context, key Key) (*Content, error)
	// Delete removes an object for good. One that is not there is no error.
	Delete(ctx context.Context, key Key) error
}

// A Content is an object's content, for one reader at a time. Seeking reads nothing.
type Content struct {
	io.ReadSeekCloser
	Size int64
}

// What a caller branches on. Everything else that goes wrong is the storage's fault, a *layer.Refusal that is Unavailable; and what r
// returned to Put comes back as it was, wrapped.
var (
	ErrKey      = errors.New("the key is none: an organization and a name that NewName made")
	ErrNotFound = errors.New("there is no such object")
	ErrExists   = errors.New("the object is there already, and objects do not change")
	ErrSize     = errors.New("the content is not as long as announced")
)

// Largest is the longest content: what S3 takes in one request.
const Largest = 5 << 30

var (
	organizationForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	nameForm         = regexp.MustCompile(`^[a-z2-7]{26}\.[a-z0-9]{1,8}$`)
	extensionForm    = regexp.MustCompile(`^\.[a-z0-9]{1,8}$`)
)

// NewName makes a name that cannot be guessed, of at least 128 random bits, and ends it with extension, which is ours, such as
// ".jpg", and never taken from an upload.
func NewName(extension string) (string, error) {
	if !extensionForm.MatchString(extension) {
		return "", errors.New("naming an object: the extension is none, such as .jpg")
	}
	return strings.ToLower(rand.Text()) + extension, nil
}

// parts are the folders and the name by which an object is kept: spread by two characters, so that no folder grows without end.
func (k Key) parts() (organization, spread, name string, err error) {
	if !organizationForm.MatchString(string(k.Organization)) || !nameForm.MatchString(k.Name) {
		return "", "", "", ErrKey
	}
	return string(k.Organization), k.Name[:2], k.Name, nil
}

func checkSize(size int64) error {
	if size < 0 || size > Largest {
		return fmt.Errorf("%w: it must be from 0 to %d bytes", ErrSize, int64(Largest))
	}
	return nil
}

// unavailable is the refusal that tells people to come back, and those who run the system why. When the caller has given up, there is
// nothing to tell.
func unavailable(ctx context.Context, doing string, err error) error {
	if gone := ctx.Err(); gone != nil {
		return fmt.Errorf("%s: %w", doing, gone)
	}
	return &layer.Refusal{By: layer.Input, Reason: layer.Unavailable, Public: "Files are out of reach at the moment. Try again in a while.",
		Cause: fmt.Errorf("%s: %w", doing, err)}
}
