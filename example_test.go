package redoubt_test

import (
	"context"
	"html"
	"io"
	"net/http"
	"testing"
	"testing/fstest"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/migrate"
	"github.com/redoubt-dev/redoubt/command"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/layertest"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

func TestMain(m *testing.M) { layertest.Main(m) }

// Note is what the database gives back.
type Note struct {
	ID   string `json:"id"`
	Body string `json:"body"`
}

// Notes is every note that the caller may see.
type Notes struct {
	Notes []Note `json:"notes"`
}

// WriteNote is everything that may be sent.
type WriteNote struct {
	Body string `json:"body" minLength:"1" maxLength:"500"`
}

const schema = `
CREATE SCHEMA notes;
CREATE TABLE notes.note (
  organization_id uuid NOT NULL,
  id              uuid NOT NULL DEFAULT redoubt.new_id(),
  body            text NOT NULL CHECK (length(body) BETWEEN 1 AND 500),
  PRIMARY KEY (organization_id, id)
);
GRANT USAGE ON SCHEMA notes TO redoubt_app;
GRANT SELECT, INSERT (body) ON notes.note TO redoubt_app;
SELECT redoubt.allow('member', 'notes:read', 'notes:write', 'keys:write');`

func start(p redoubt.Parts) (redoubt.Routes, error) {
	list := func(ctx context.Context, who layer.Principal, _ struct{}) (Notes, error) {
		notes, err := rls.All[Note](p.DB.As(ctx, who), `select id, body from notes.note`)
		return Notes{notes}, err
	}
	write := func(ctx context.Context, who layer.Principal, in WriteNote) (Note, error) {
		return action.Do(ctx, p.DB, who, "notes:write", func(tx *action.Tx) (Note, error) {
			return rls.One[Note](tx, `insert into notes.note (body) values ($1) returning id, body`, in.Body)
		})
	}
	return redoubt.Routes{Pages: pages{}, Routes: []redoubt.Route{
		redoubt.JSON("GET /api/v1/notes", redoubt.Scope("notes:read"), list),
		redoubt.JSON("POST /api/v1/notes", redoubt.Scope("notes:write"), write),
	}}, nil
}

// notebook is the smallest application. Its schema would be an embedded folder of files.
var notebook = redoubt.App{
	Name:    "Notebook",
	Version: "1",
	Schema:  []migrate.Line{{Name: "notes", Files: fstest.MapFS{"0001_note.sql": {Data: []byte(schema)}}, Application: true}},
	Scopes:  identity.Scopes{Member: []string{"notes:read", "notes:write", "keys:write"}},
	Start:   start,
}

// pages renders the few pages that Redoubt asks for by itself: a problem, and having signed out.
type pages struct{}

func (pages) Render(w io.Writer, _ redoubt.Frame, v redoubt.View) error {
	_, err := io.WriteString(w, "<!doctype html><title>"+html.EscapeString(v.Title)+"</title>")
	return err
}

// An application's whole main function. The binary has every command: up, serve, trust.
func Example() {
	main := func() { command.Main(notebook) }
	_ = main
}

// TestTheSmallestApplication runs the example, and shows that it is isolated though no line of it says so.
func TestTheSmallestApplication(t *testing.T) {
	w := layertest.World(t, notebook)
	ann, bea := w.Member("Acme"), w.Member("Globex")
	ann.Post("/api/v1/notes", WriteNote{Body: "Buy rope."}).OK()
	var hers, others Notes
	ann.Get("/api/v1/notes").OK().JSON(&hers)
	bea.Get("/api/v1/notes").OK().JSON(&others)
	if len(hers.Notes) != 1 || hers.Notes[0].Body != "Buy rope." || len(others.Notes) != 0 {
		t.Errorf("Ann reads %v and Bea %v, want one note and none", hers.Notes, others.Notes)
	}
	bea.Post("/api/v1/notes", map[string]string{"body": "Hello.", "organization_id": string(w.Organization("Acme"))}).
		Refused(http.StatusUnprocessableEntity, layer.Input)
}
