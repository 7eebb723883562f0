package attack

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"github.com/redoubt-dev/redoubt/drill/target"
)

func pageInAPortrait() Attack {
	return Attack{
		Name: "page-in-a-portrait", Threat: "T34", Group: "files", Browser: true,
		Title:  "Bob's portrait begins as a GIF and goes on as a page, whose script runs when Alice opens it",
		Expect: []string{"transport/csp", "input/file", "input/serve"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			canary := s.Canary()
			bob, err := s.SignIn(ctx, "bob")
			if err != nil {
				return false, err
			}
			polyglot := "GIF89a\x01\x00\x01\x00\x00\x00\x00<!doctype html><script>" + mark(canary) + "</script>"
			if err := portray(ctx, bob, "me.html", polyglot); err != nil {
				return false, err
			}
			file, err := s.portrait(ctx, "bob")
			if err != nil || file == "" {
				return false, err
			}
			defer bob.Ask(ctx, http.MethodPost, "/profile/avatar/delete", url.Values{})
			return s.opened(ctx, "/files/"+file, canary)
		},
	}
}

// portray sends the form for somebody's portrait.
func portray(ctx context.Context, who *target.Client, name, content string) error {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	page, err := who.Get(ctx, "/profile")
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(page.Body, `name="_token" value="`)
	token, _, _ := strings.Cut(rest, `"`)
	w.WriteField("_token", html.UnescapeString(token)) // a buffer takes everything
	part, err := w.CreateFormFile("picture", name)
	if err != nil {
		return err
	}
	fmt.Fprint(part, content)
	w.Close()
	_, err = who.Ask(ctx, http.MethodPost, "/profile/avatar", &target.Body{Type: w.FormDataContentType(), Content: form.Bytes()})
	return err
}

// portrait is the file with somebody's portrait; "" for none.
func (s *Scene) portrait(ctx context.Context, who string) (file string, err error) {
	profile, _, err := s.member(ctx, who)
	if err != nil {
		return "", err
	}
	if err := s.Admin().QueryRow(ctx, `select coalesce(avatar_id::text, '') from commons.profile where id = $1`, profile).Scan(&file); err != nil {
		return "", fmt.Errorf("looking at a portrait: %w", err)
	}
	return file, nil
}
