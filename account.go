package redoubt

import (
	"net/http"
	"reflect"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/transport"
)

// The paths that Redoubt itself answers.
const (
	signInPath    = "/sign-in"
	CallbackPath  = "/sign-in/callback" // registered with the provider as the redirect URI
	signOutPath   = "/sign-out"
	SignedOutPath = "/signed-out" // registered with the provider, to come back to
	openAPIPath   = "/api/v1/openapi.json"
)

type (
	nothing    struct{}
	signInWish struct {
		Provider string `query:"provider,omitempty" maxLength:"32" pattern:"[a-z0-9][a-z0-9-]*" doc:"the provider's short name; needed where there are several"`
		Return   string `query:"return,omitempty" maxLength:"1024" doc:"the path to come back to"`
	}
	// callback declares every parameter that providers are known to send; package signon reads and judges them.
	callback struct {
		Code             string `query:"code,omitempty" maxLength:"4096"`
		State            string `query:"state,omitempty" maxLength:"4096"`
		Issuer           string `query:"iss,omitempty" maxLength:"2048"`
		Scope            string `query:"scope,omitempty" maxLength:"2048"`
		SessionState     string `query:"session_state,omitempty" maxLength:"4096"`
		Error            string `query:"error,omitempty" maxLength:"256"`
		ErrorDescription string `query:"error_description,omitempty" maxLength:"4096"`
		ErrorURI         string `query:"error_uri,omitempty" maxLength:"2048"`
	}
	backFromProvider struct {
		State string `query:"state,omitempty" maxLength:"4096"`
	}
	switchTo struct {
		OrganizationID layer.OrgID `json:"organization_id"`
	}
	oneAsset struct {
		Path string `path:"path" maxLength:"200" pattern:"[A-Za-z0-9._-]+"`
	}
)

// builtins are the routes of Redoubt's own. They are declared, gated and checked like every other; the last one transport answers
// by itself, and it is declared so that no list lacks it and no application believes to answer there.
func (s *Server) builtins(app Routes) []Route {
	all := []Route{
		own[signInWish]("GET "+signInPath, Public, s.signIn),
		own[callback]("GET "+CallbackPath, Public, s.callback),
		own[nothing]("POST "+signOutPath, Members, s.signOut),
		own[backFromProvider]("GET "+SignedOutPath, Public, s.signedOut),
		own[switchTo]("POST /organization", Members, s.switchOrganization),
		own[nothing]("GET "+openAPIPath, Public, s.serveDocument),
		{Pattern: "POST " + transport.ReportPath, Access: Public, kind: builtin, in: reflect.TypeFor[nothing](), out: reflect.TypeFor[nothing](), outside: true},
	}
	all = append(all, s.stepUpRoutes()...)
	all = append(all, s.forMachines()...)
	all = append(all, s.forProviders()...)
	all = append(all, s.forDirectories()...)
	all = append(all, s.forOrganizations()...)
	if app.Assets != nil {
		all = append(all, own[oneAsset]("GET /assets/{path}", Public, func(c *call) error {
			app.Assets.ServeHTTP(c.w, c.r)
			return nil
		}))
	}
	return all
}

func own[In any](pattern string, access Access, serve func(*call) error) Route {
	return Route{Pattern: pattern, Access: access, kind: builtin, in: reflect.TypeFor[In](), out: reflect.TypeFor[nothing](), serve: serve}
}

// signIn sends the browser to the provider; where there are several, a page asks which.
func (s *Server) signIn(c *call) error {
	wish := c.r.URL.Query()
	back, ok := transport.LocalPath(wish.Get("return"))
	if !ok {
		back = "/"
	}
	if providers := s.cfg.Identity.Providers(); len(providers) > 1 && wish.Get("provider") == "" {
		return c.page(View{Page: "sign-in", Title: "Sign in", Data: choiceOf(providers, back)}, http.StatusOK)
	}
	return s.cfg.Identity.SignIn(c.w, c.r, wish.Get("provider"), back)
}

// A SignInChoice is what the page "sign-in" shows, where people sign in at several providers: its links are /sign-in with one of
// them as "provider", and "return".
type SignInChoice struct {
	Return    string // a path on this site, to come back to
	Providers []SignInProvider
}

// A SignInProvider is one of them, by its ID.
type SignInProvider struct{ Title, ID string }

func choiceOf(providers []identity.Provider, back string) SignInChoice {
	choice := SignInChoice{Return: back}
	for _, p := range providers {
		choice.Providers = append(choice.Providers, SignInProvider{Title: p.Title, ID: p.ID})
	}
	return choice
}

func (s *Server) callback(c *call) error {
	back, err := s.cfg.Identity.Callback(c.w, c.r)
	if err != nil {
		return err
	}
	if back, ok := transport.LocalPath(back); ok {
		http.Redirect(c.w, c.r, back, http.StatusSeeOther)
		return nil
	}
	http.Redirect(c.w, c.r, "/", http.StatusSeeOther)
	return nil
}

func (s *Server) signOut(c *call) error {
	to, err := s.cfg.Identity.SignOut(c.w, c.r, c.who, s.cfg.Origin+SignedOutPath)
	if err != nil {
		return err
	}
	if to == "" {
		to = SignedOutPath
	}
	http.Redirect(c.w, c.r, to, http.StatusSeeOther)
	return nil
}

func (s *Server) signedOut(c *call) error {
	return c.page(View{Page: "signed-out", Title: "Signed out"}, http.StatusOK)
}

func (s *Server) switchOrganization(c *call) error {
	if err := s.cfg.Identity.Switch(c.w, c.r, c.who, layer.OrgID(c.r.PostFormValue("organization_id"))); err != nil {
		return err
	}
	http.Redirect(c.w, c.r, "/", http.StatusSeeOther)
	return nil
}
