// Package attachment is what members upload: pictures and documents, for whatever shows them, and the addresses at which they are.
package attachment

import (
	"context"
	"embed"
	"slices"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/input"
	"github.com/redoubt-dev/redoubt/layer/input/file"
	"github.com/redoubt-dev/redoubt/layer/input/file/examine"
	"github.com/redoubt-dev/redoubt/layer/input/file/picture"
)

// Schema is the attachments' line of migrations.
//
//go:embed schema/*.sql
var Schema embed.FS

// What Commons makes of files. A picture of a post or lesson is stored in sizes for a wide page, a page and a list.
var (
	Attachment = file.Recipe{Name: "attachment", Accept: slices.Concat(examine.Images, examine.Documents), Variants: []picture.Variant{
		{Name: "large", Width: 2048, Height: 2048}, {Name: "medium", Width: 1024, Height: 1024}, {Name: "small", Width: 320, Height: 320},
	}}
	Avatar = file.Recipe{Name: "avatar", Accept: examine.Images, Variants: []picture.Variant{
		{Name: "large", Width: 512, Height: 512, Crop: true}, {Name: "small", Width: 96, Height: 96, Crop: true},
	}}
)

// Attachments answers for what members upload.
type Attachments struct{ files *file.Files }

// New makes Attachments.
func New(files *file.Files) *Attachments { return &Attachments{files} }

// Routes declares everything the outside may ask about files. What holds a file says who sees it, to the database (SYSTEM N2, A5).
func (a *Attachments) Routes() []redoubt.Route {
	return []redoubt.Route{
		redoubt.Download("GET /files/{id}", redoubt.Scope(file.Read), a.open),
		redoubt.Download("GET /files/{id}/{variant}", redoubt.Scope(file.Read), a.openVariant),
		redoubt.Download("GET /api/v1/files/{id}", redoubt.Scope(file.Read), a.open).Doc("Get a picture in its largest size, or a document as it came"),
		redoubt.Download("GET /api/v1/files/{id}/{variant}", redoubt.Scope(file.Read), a.openVariant).Doc("Get a picture in one of its sizes"),
		redoubt.JSON("POST /api/v1/files", redoubt.Scope(file.Write), a.upload).Doc("Upload a picture or a document, to be attached to something within a day"),
		redoubt.JSON("POST /api/v1/preview", redoubt.Scope(file.Write), a.preview).Doc("See what a text in Markdown would look like"),
		redoubt.JSON("DELETE /api/v1/files/{id}", redoubt.Scope(file.Write), a.discard).Doc("Take back an upload of your own that is attached to nothing"),
	}
}

type (
	// Nothing is the answer when there is nothing to say.
	Nothing struct{}

	oneFile struct {
		ID file.ID `path:"id"`
	}
	oneVariant struct {
		ID      file.ID `path:"id"`
		Variant string  `path:"variant" enum:"large,medium,small"`
	}
	// An Upload is a file as the body of a request.
	Upload struct {
		Name    string       `query:"name,omitempty" maxLength:"120" pattern:"[^/\\\\]*" doc:"what it is called"`
		Content input.Upload `body:"content" maxBytes:"26214400" accept:"image/jpeg,image/png,image/gif,image/webp,.pdf,.docx,.xlsx,.pptx,.odt,.ods,.odp,.zip,.txt,.csv"`
	}
	// A Stored file is one that was taken.
	Stored struct {
		ID file.ID `json:"id"`
	}
)

// Location is where the file can be found.
func (s Stored) Location() string { return "/files/" + string(s.ID) }

func (a *Attachments) open(ctx context.Context, who layer.Principal, in oneFile) (*file.Content, error) {
	return a.files.Open(ctx, who, in.ID, "")
}

func (a *Attachments) openVariant(ctx context.Context, who layer.Principal, in oneVariant) (*file.Content, error) {
	return a.files.Open(ctx, who, in.ID, in.Variant)
}

func (a *Attachments) upload(ctx context.Context, who layer.Principal, in Upload) (Stored, error) {
	id, err := a.files.Keep(ctx, who, in.Content, in.Name, Attachment)
	return Stored{id}, err
}

func (a *Attachments) discard(ctx context.Context, who layer.Principal, in oneFile) (Nothing, error) {
	return Nothing{}, a.files.Discard(ctx, who, in.ID)
}

// A File is an attachment, as whatever holds it shows it.
type File struct {
	ID     file.ID `json:"id"`
	Name   string  `json:"name" doc:"as whoever uploaded it called it"`
	Kind   string  `json:"kind" doc:"what it is: jpeg, png, gif, pdf, docx and so on"`
	Size   int64   `json:"size" doc:"bytes"`
	Width  *int    `json:"width" doc:"of a picture, in pixels; else null"`
	Height *int    `json:"height"`
	Inline bool    `json:"inline" doc:"the text shows it"`
}
