// Package file takes what people upload and gives it to those who may see it (SYSTEM N2). What comes in lies in a spool until it is
// examined, in a process of its own (examine, sandbox); what is kept is a picture drawn anew or a document as it came, under a random
// name, outside the web root (store); and what it is called and who brought it are rows under the isolation of every other table
// (schema/0001_files.sql).
//
// # What it assumes has failed
//
// Everything outside it. Whoever uploads has an account and means harm: the file is a bomb, is two files at once, is not what it is
// called, or exploits what decodes it. Whoever asks for one guesses ids, or has one from somebody else.
//
// # What it stops
//
// A file that is not wholly what its first bytes say; metadata, trailing bytes and active content in pictures; macros, scripts and bombs
// in documents; a decoder that was taken over, which can reach nothing; a file of another organization, or one that nobody has shown
// yet, by its id; what a browser would make of a file other than showing a picture or saving it.
//
// # What it does not stop
//
// A picture whose content is offensive or stolen. A document that deceives its reader, or attacks the program that opens it by a fault of
// that program: documents are only ever saved, never shown.
//
// # How it is knocked out in a drill
//
// Examination is replaced by one that believes the client; then documents and pictures are still only given to members, with a type,
// a disposition and a sandbox that let nothing run.
//
// # Example
//
//	id, err := files.Keep(ctx, who, in.Picture, in.Picture.Name(), file.Recipe{Name: "post", Accept: examine.Images, Variants: sizes})
//	...
//	content, err := files.Open(ctx, who, id, "small") // only who may see the row may see the bytes
package file

import (
	"context"
	"embed"
	"errors"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input/file/examine"
	"github.com/redoubt-dev/redoubt/layer/input/file/picture"
	"github.com/redoubt-dev/redoubt/layer/input/file/store"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// Schema is this layer's line of migrations. It runs as the owner of the application's tables, under the guard.
//
//go:embed schema/*.sql
var Schema embed.FS

// The scopes that the functions of the database ask for, whatever the application has asked before.
const (
	Read  = "files:read"
	Write = "files:write"
)

// An ID names a file within its organization.
type ID string

// Constraints says that an ID is a UUID.
func (ID) Constraints() reflect.StructTag { return `format:"uuid"` }

// A Recipe says which files a use of them takes, and what it makes of pictures. The same bytes by the same recipe, under names
// with the same ending, are stored once in an organization.
type Recipe struct {
	Name     string            // of the use, "avatar"; a recipe that changes what it makes gets another name
	Accept   []examine.Kind    // everything else is refused, by name
	Variants []picture.Variant // of pictures; the first is what is given when no variant is asked for. Documents are kept as they are
}

// Config is what Files work with. Everything is required.
type Config struct {
	DB      *rls.DB
	Store   store.Store
	Examine func(ctx context.Context, f *os.File, size int64, job examine.Job) (examine.Report, error) // examine.Examiner.Examine

	// Change runs act in a transaction that the third gate has opened for who and scope; action.Do. The gates and this layer do not
	// know each other.
	Change func(ctx context.Context, who layer.Principal, scope string, act func(rls.Asker) error) error
}

// Files keeps and gives files. It may be used concurrently.
type Files struct {
	cfg Config

	mu    sync.Mutex
	swept map[layer.OrgID]time.Time // when the housework of an organization was last done here
}

// New reports everything that is missing at once.
func New(cfg Config) (*Files, error) {
	var problems []error
	for _, need := range []struct {
		missing bool
		name    string
	}{{cfg.DB == nil, "DB"}, {cfg.Store == nil, "Store"}, {cfg.Examine == nil, "Examine"}, {cfg.Change == nil, "Change"}} {
		if need.missing {
			problems = append(problems, errors.New("file: "+need.name+" is required"))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return &Files{cfg: cfg, swept: map[layer.OrgID]time.Time{}}, nil
}

func refusal(reason layer.Reason, public string, cause error) error {
	return &layer.Refusal{By: layer.Input, Reason: reason, Public: public, Cause: cause}
}
