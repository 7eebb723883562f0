package input

import (
	"errors"
	"fmt"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// An Upload is a file as it came in: received, counted and hashed, and not examined (SYSTEM N2). What it is, nobody has found out:
// neither its name nor its sender's word for its type is evidence. The zero Upload is no file.
//
// It is a handle, as *os.File is: copies are one file, and Close of any is the end of it.
type Upload struct{ f *spooled }

var uploadType = reflect.TypeFor[Upload]()

// IsZero reports whether u is no file.
func (u Upload) IsZero() bool { return u.f == nil }

// Name is what the client calls the file, for showing it to people: without folders, without characters that end or turn text, and
// of at most 120 characters. It may be empty. It is never part of a path.
func (u Upload) Name() string {
	if u.f == nil {
		return ""
	}
	return u.f.name
}

// Size is how many bytes there are.
func (u Upload) Size() int64 {
	if u.f == nil {
		return 0
	}
	return u.f.size
}

// SHA256 is the digest of the bytes, found while they arrived.
func (u Upload) SHA256() (digest [32]byte) {
	if u.f == nil {
		return digest
	}
	return u.f.digest
}

// File is the content, to be read only, and at its beginning until somebody reads; nil for no file. Its own name leads nowhere.
func (u Upload) File() *os.File {
	if u.f == nil {
		return nil
	}
	return u.f.read
}

// Close ends the file; a second time does nothing. Who has called Bind calls Schema.Release instead.
func (u Upload) Close() error {
	if u.f == nil {
		return nil
	}
	return u.f.close()
}

// maxName is the most characters of a name that is shown.
const maxName = 120

// shownName makes a client's name for a file harmless to show: of a path of either world its last part, and of that what is
// printed and stays where it stands.
func shownName(name string) string {
	name = path.Base(strings.ReplaceAll(strings.ToValidUTF8(name, ""), `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) {
			return -1
		}
		return r
	}, name)
	if long := []rune(name); len(long) > maxName {
		name = string(long[:maxName])
	}
	if name = strings.TrimSpace(name); strings.Trim(name, "./") == "" {
		return ""
	}
	return name
}

// Release closes every Upload in dst, a pointer to what Bind has filled. It is for when the request has been answered, and may be
// called again. A dst of another type, or nil, holds none.
func (s *Schema) Release(dst any) error {
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Type().Elem() != s.typ {
		return nil
	}
	var errs []error
	for _, f := range slices.Concat(s.places[inBody], s.places[inContent]) {
		switch at := v.Elem().FieldByIndex(f.index); {
		case f.kind == file:
			errs = append(errs, at.Interface().(Upload).Close())
		case f.upload() != nil:
			for i := range at.Len() {
				errs = append(errs, at.Index(i).Interface().(Upload).Close())
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("releasing uploads: %w", err)
	}
	return nil
}
