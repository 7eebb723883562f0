package redoubt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity/scim"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// SCIMPrefix is where an organization's identity provider keeps its users and groups (SYSTEM I1, I7; RFC 7644). Nothing is there without
// Config.Deliveries.
const SCIMPrefix = "/scim/v2"

// These are the parameters of RFC 7644 sections 3.4.2 and 3.9. They are texts here, because a wrong one is SCIM's to refuse.
type (
	scimView struct {
		Attributes string `query:"attributes,omitempty" maxLength:"2000"`
		Excluded   string `query:"excludedAttributes,omitempty" maxLength:"2000"`
	}
	scimSearch struct {
		Attributes string `query:"attributes,omitempty" maxLength:"2000"`
		Excluded   string `query:"excludedAttributes,omitempty" maxLength:"2000"`
		Filter     string `query:"filter,omitempty" maxLength:"2000"`
		StartIndex string `query:"startIndex,omitempty" maxLength:"20"`
		Count      string `query:"count,omitempty" maxLength:"20"`
		SortBy     string `query:"sortBy,omitempty" maxLength:"200"`
		SortOrder  string `query:"sortOrder,omitempty" maxLength:"20"`
	}
	scimOne struct {
		Attributes string `query:"attributes,omitempty" maxLength:"2000"`
		Excluded   string `query:"excludedAttributes,omitempty" maxLength:"2000"`
		ID         string `path:"id" minLength:"1" maxLength:"200"`
	}
)

// forDirectories are Redoubt's own routes that an identity provider's program calls with an endpoint's credential.
func (s *Server) forDirectories() []Route {
	if s.cfg.Deliveries == nil {
		return nil
	}
	d := directory{s, scim.Directory{Base: s.cfg.Origin + SCIMPrefix}}
	return []Route{
		provisioned[nothing]("GET /ServiceProviderConfig", d.config),
		provisioned[nothing]("GET /ResourceTypes", d.types),
		provisioned[scimOne]("GET /ResourceTypes/{id}", d.oneType),
		provisioned[nothing]("GET /Schemas", d.schemas),
		provisioned[scimOne]("GET /Schemas/{id}", d.oneSchema),
		provisioned[scimSearch]("GET /Users", d.search(scim.Directory.Users)),
		provisioned[scimView]("POST /Users", d.create(scim.Directory.CreateUser)),
		provisioned[scimOne]("GET /Users/{id}", d.read(scim.Directory.User)),
		provisioned[scimOne]("PUT /Users/{id}", d.change(scim.Directory.ReplaceUser, false)),
		provisioned[scimOne]("PATCH /Users/{id}", d.change(scim.Directory.PatchUser, false)),
		provisioned[scimOne]("DELETE /Users/{id}", d.remove(scim.Directory.DeleteUser)),
		provisioned[scimSearch]("GET /Groups", d.search(scim.Directory.Groups)),
		provisioned[scimView]("POST /Groups", d.create(scim.Directory.CreateGroup)),
		provisioned[scimOne]("GET /Groups/{id}", d.read(scim.Directory.Group)),
		provisioned[scimOne]("PUT /Groups/{id}", d.change(scim.Directory.ReplaceGroup, false)),
		provisioned[scimOne]("PATCH /Groups/{id}", d.change(scim.Directory.PatchGroup, true)),
		provisioned[scimOne]("DELETE /Groups/{id}", d.remove(scim.Directory.DeleteGroup)),
	}
}

// provisioned is a route at which an endpoint's credential alone says who asks. The gate asks it for the scope, and so does the database.
func provisioned[In any](pattern string, serve func(*call) error) Route {
	method, path, _ := strings.Cut(pattern, " ")
	r := own[In](method+" "+SCIMPrefix+path, Scope(scim.Scope), serve)
	r.endpoint, r.refused = true, refuseSCIM
	return r
}

// identify asks identity who has sent the request, by the credential that belongs at this route.
func (c *call) identify() (layer.Principal, error) {
	if c.route.endpoint {
		return c.s.cfg.Identity.IdentifyEndpoint(c.r)
	}
	return c.s.cfg.Identity.Identify(c.r)
}

// bound is the request as far as the route's struct declares it: where a protocol of its own reads the body, all but that.
func (c *call) bound() *http.Request {
	if !c.route.endpoint {
		return c.r
	}
	r := c.r.Clone(c.r.Context())
	r.Body, r.ContentLength = http.NoBody, 0
	r.Header.Del("Content-Type")
	return r
}

// unrouted is what stands for a route where there is none: beneath SCIMPrefix a provider reads what it is told.
func (s *Server) unrouted(r *http.Request) (none Route) {
	if s.cfg.Deliveries != nil && strings.HasPrefix(r.URL.Path, SCIMPrefix+"/") {
		none.refused = refuseSCIM
	}
	return none
}

// refuseSCIM renders a refusal as providers read it, and sees to it that the audit trail has it.
func refuseSCIM(c *call, p *Problem, refusal *layer.Refusal) {
	if p.Status < http.StatusInternalServerError {
		c.s.cfg.Identity.RecordRefusedProvisioning(c.r.Context(), c.who, refusal)
	}
	status, body := scim.Problem(refusal, p.Status)
	h := c.w.Header()
	h.Set("Content-Type", scim.MediaType)
	switch status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", "5")
	}
	c.w.WriteHeader(status)
	c.w.Write(append(body, '\n'))
}

// A directory answers SCIM over HTTP.
type directory struct {
	s *Server
	scim.Directory
}

func (d directory) config(c *call) error  { return c.scim(http.StatusOK, d.Config(), "") }
func (d directory) types(c *call) error   { return c.scim(http.StatusOK, d.Types(), "") }
func (d directory) schemas(c *call) error { return c.scim(http.StatusOK, d.Schemas(), "") }

func (d directory) oneType(c *call) error { return c.document(d.Type(c.r.PathValue("id"))) }

func (d directory) oneSchema(c *call) error { return c.document(d.Schema(c.r.PathValue("id"))) }

func (c *call) document(v any, err error) error {
	if err != nil {
		return err
	}
	return c.scim(http.StatusOK, v, "")
}

func (d directory) search(ask func(scim.Directory, rls.Asker, scim.Query) (scim.List, error)) func(*call) error {
	return func(c *call) error {
		q, err := c.query()
		if err != nil {
			return err
		}
		list, err := ask(d.Directory, d.s.cfg.Deliveries.As(c.r.Context(), c.who), q)
		if err != nil {
			return err
		}
		return c.scim(http.StatusOK, list, "")
	}
}

func (d directory) read(ask func(scim.Directory, rls.Asker, string, scim.View) (scim.Resource, error)) func(*call) error {
	return func(c *call) error {
		one, err := ask(d.Directory, d.s.cfg.Deliveries.As(c.r.Context(), c.who), c.r.PathValue("id"), c.view())
		if err != nil {
			return err
		}
		if one.Fresh(c.r.Header.Get("If-None-Match")) {
			c.w.Header().Set("ETag", one.Version)
			c.w.WriteHeader(http.StatusNotModified)
			return nil
		}
		return c.scim(http.StatusOK, one, one.Version)
	}
}

func (d directory) create(make func(scim.Directory, *rls.Tx, []byte, scim.View) (scim.Resource, error)) func(*call) error {
	return func(c *call) error {
		body, err := c.body()
		if err != nil {
			return err
		}
		one, err := d.do(c.r.Context(), c.who, func(tx *rls.Tx) (scim.Resource, error) { return make(d.Directory, tx, body, c.view()) })
		if err != nil {
			return err
		}
		c.w.Header().Set("Location", one.Location)
		return c.scim(http.StatusCreated, one, one.Version)
	}
}

// change answers with what the resource has become; quiet with nothing, unless the request says which attributes it wants (RFC 7644
// section 3.5.2): a group may have thousands of members.
func (d directory) change(alter func(scim.Directory, *rls.Tx, string, []byte, string, scim.View) (scim.Resource, error), quiet bool) func(*call) error {
	return func(c *call) error {
		body, err := c.body()
		if err != nil {
			return err
		}
		id, view, ifMatch := c.r.PathValue("id"), c.view(), strings.Join(c.r.Header.Values("If-Match"), ",")
		silent := quiet && len(view.Attributes) == 0
		if silent {
			view.Excluded = append(view.Excluded, "members")
		}
		one, err := d.do(c.r.Context(), c.who, func(tx *rls.Tx) (scim.Resource, error) { return alter(d.Directory, tx, id, body, ifMatch, view) })
		switch {
		case err != nil:
			return err
		case silent:
			c.w.Header().Set("ETag", one.Version)
			c.w.WriteHeader(http.StatusNoContent)
			return nil
		}
		return c.scim(http.StatusOK, one, one.Version)
	}
}

func (d directory) remove(drop func(scim.Directory, *rls.Tx, string, string) error) func(*call) error {
	return func(c *call) error {
		_, err := d.do(c.r.Context(), c.who, func(tx *rls.Tx) (scim.Resource, error) {
			return scim.Resource{}, drop(d.Directory, tx, c.r.PathValue("id"), strings.Join(c.r.Header.Values("If-Match"), ","))
		})
		if err != nil {
			return err
		}
		c.w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

// do is the third gate (SYSTEM A3).
func (d directory) do(ctx context.Context, who layer.Principal, act func(*rls.Tx) (scim.Resource, error)) (scim.Resource, error) {
	return action.Do(ctx, d.s.cfg.Deliveries, who, scim.Scope, func(tx *action.Tx) (scim.Resource, error) { return act(tx.Tx) })
}

// ---- what a request says ----

func (c *call) view() scim.View {
	q := c.r.URL.Query()
	return scim.View{Attributes: names(q.Get("attributes")), Excluded: names(q.Get("excludedAttributes"))}
}

func names(list string) (all []string) {
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			all = append(all, name)
		}
	}
	return all
}

// query reads a search. Numbers outside what is possible are taken for the nearest that is (RFC 7644 section 3.4.2.4).
func (c *call) query() (scim.Query, error) {
	q := c.r.URL.Query()
	asked := scim.Query{Filter: q.Get("filter"), View: c.view()}
	if q.Has("filter") && asked.Filter == "" {
		return asked, wrongQuery(scim.InvalidFilter)
	}
	if text := q.Get("startIndex"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n > 1<<30 {
			return asked, wrongQuery(scim.InvalidValue)
		}
		asked.StartIndex = n
	}
	if text := q.Get("count"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return asked, wrongQuery(scim.InvalidValue)
		}
		asked.Count = &n
	}
	return asked, nil
}

func wrongQuery(fault scim.Fault) error {
	return &layer.Refusal{By: layer.Input, Reason: layer.Invalid, Public: "The query is not one that is understood here.", Cause: fault}
}

// body reads one that SCIM sends.
func (c *call) body() ([]byte, error) {
	media, params, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || media != scim.MediaType && media != "application/json" || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return nil, &layer.Refusal{By: layer.Input, Reason: layer.Unsupported, Public: "The body has to be " + scim.MediaType + ".", Cause: errMedia}
	}
	body, err := io.ReadAll(io.LimitReader(c.r.Body, scim.MaxBody+1))
	switch {
	case err != nil:
		return nil, err // transport's refusal: too slow, too much or broken off
	case len(body) > scim.MaxBody:
		return nil, &layer.Refusal{By: layer.Input, Reason: layer.TooLarge, Public: "The request is too large.", Cause: errMedia}
	}
	return body, nil
}

var errMedia = errors.New("the body is not one that SCIM sends")

// scim answers with v, at a version if it has one.
func (c *call) scim(status int, v any, version string) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing an answer: %w", err)
	}
	c.w.Header().Set("Content-Type", scim.MediaType)
	if version != "" {
		c.w.Header().Set("ETag", version)
	}
	c.w.WriteHeader(status)
	c.w.Write(append(body, '\n'))
	return nil
}
