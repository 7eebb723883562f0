// Package scim lets an identity provider keep an organization's users and groups: SCIM 2.0 (RFC 7643, RFC 7644), as seen by whoever speaks
// it, and without HTTP. Who was announced may sign in, and whoever is withdrawn is out at the next statement (SYSTEM I1, I7, I8).
//
// A user is a membership of the one organization whose endpoint asks, or one to come; what another organization has is not there.
// What a filter asks for is never made into SQL: a few comparisons are bound parameters, and everything else is compared here.
//
// # What it assumes has failed
//
// The provider's program sends what it likes, or somebody else does with its credential.
//
// # What it stops
//
// Filters and paths that no two parsers read alike; bodies without end; attributes that nobody declared; administrators, who are the
// provider's groups at a sign-in and nothing here (SYSTEM I3); the end of an organization's last owner.
//
// # What it does not stop
//
// A provider that withdraws the wrong person. It owns the list; the audit trail names every change.
//
// # How it is knocked out in a drill
//
// The organization is taken from the request, and not from the endpoint's credential.
//
// # Example
//
//	directory := scim.Directory{Base: "https://app.example.com/scim/v2"}
//	list, err := directory.Users(db.As(ctx, who), scim.Query{Filter: `userName eq "ada@example.com"`})
package scim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt/layer"
)

// Scope is what an endpoint needs for everything here. Whoever has it decides who is an owner: give it to nobody but administrators.
const Scope = "scim:manage"

// MediaType is SCIM's own (RFC 7644 section 3.1). JSON's is taken too.
const MediaType = "application/scim+json"

// The schemas.
const (
	userSchema   = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupSchema  = "urn:ietf:params:scim:schemas:core:2.0:Group"
	listSchema   = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	patchSchema  = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	errorSchema  = "urn:ietf:params:scim:api:messages:2.0:Error"
	configSchema = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	typeSchema   = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	schemaSchema = "urn:ietf:params:scim:schemas:core:2.0:Schema"
)

// The bounds. What the database bounds stands in its functions: 100,000 users and 1000 groups of an organization, and 10,000 members of a group.
const (
	MaxBody       = 1 << 20 // bytes; the users of a large group fit
	maxValues     = 50_000  // in a body, names and brackets counted
	maxDepth      = 8       // of a body
	maxFilter     = 2000    // bytes
	maxTerms      = 50      // comparisons of a filter
	maxNesting    = 10      // brackets of a filter
	maxOperations = 1000    // of a PATCH
	maxEmails     = 10
	maxUsers      = 200     // on a page
	maxGroups     = 100     // on a page
	maxListed     = 20_000  // members of all groups on a page together; a page that would have more ends earlier
	scanPage      = 1000    // rows that are compared at a time
	maxScan       = 100_000 // rows that are compared for one filter
)

// A Directory answers for the organization of whoever asks.
type Directory struct {
	Base string // the address of what is answered: "https://app.example.com/scim/v2"
}

// A Resource is one thing as SCIM shows it.
type Resource struct {
	ID       string
	Location string
	Version  string // a weak entity tag (RFC 9110 section 8.8.3)
	tree     map[string]any
}

// MarshalJSON implements json.Marshaler.
func (r Resource) MarshalJSON() ([]byte, error) { return json.Marshal(r.tree) }

// A List is a page of resources (RFC 7644 section 3.4.2).
type List struct {
	Schemas      []string   `json:"schemas"`
	TotalResults int        `json:"totalResults"`
	StartIndex   int        `json:"startIndex"`
	ItemsPerPage int        `json:"itemsPerPage"`
	Resources    []Resource `json:"Resources"`
}

func newList(total, start int, found []Resource) List {
	if found == nil {
		found = []Resource{}
	}
	return List{Schemas: []string{listSchema}, TotalResults: total, StartIndex: start, ItemsPerPage: len(found), Resources: found}
}

// A Query is what a search may say. Sorting is not supported, so what says how to sort is ignored; the order is that of creation.
type Query struct {
	Filter     string
	StartIndex int  // from 1; less means 1
	Count      *int // nil is as many as a page takes; less than 0 means 0
	View
}

// A View says what of a resource is shown (RFC 7644 section 3.9). The zero View shows everything.
type View struct {
	Attributes []string // only these, and what is always shown
	Excluded   []string // all but these
}

func (q Query) window(most int) (start, count int) {
	count = most
	if q.Count != nil {
		count = min(max(*q.Count, 0), most)
	}
	return max(q.StartIndex, 1), count
}

// A Fault is an error's scimType (RFC 7644 section 3.12), the Cause of a refusal.
type Fault string

// The faults.
const (
	InvalidFilter Fault = "invalidFilter"
	TooMany       Fault = "tooMany"
	Uniqueness    Fault = "uniqueness"
	Mutability    Fault = "mutability"
	InvalidSyntax Fault = "invalidSyntax"
	InvalidPath   Fault = "invalidPath"
	NoTarget      Fault = "noTarget"
	InvalidValue  Fault = "invalidValue"
)

// Error implements error.
func (f Fault) Error() string { return "scim: " + string(f) }

var (
	errVersion = errors.New("scim: the resource is not at the version that was asked for")
	errAbsent  = errors.New("scim: the organization has no such resource")
)

func invalid(fault Fault, public string) error {
	return &layer.Refusal{By: layer.Identity, Reason: layer.Invalid, Public: public, Cause: fault}
}

func taken() error {
	return &layer.Refusal{By: layer.Identity, Reason: layer.Conflict, Public: "There is one like this already.", Cause: Uniqueness}
}

func absent() error {
	return &layer.Refusal{By: layer.Identity, Reason: layer.NotFound, Public: "There is nothing here.", Cause: errAbsent}
}

// statuses turns a refusal's reason into an error's status, where a status that was decided elsewhere says something else to a provider.
var statuses = map[layer.Reason]int{
	layer.Invalid:   http.StatusBadRequest, // RFC 7644 section 3.12 knows no 422
	layer.Malformed: http.StatusBadRequest,
}

// Problem is a refusal in SCIM's form, with the status to send it with. Status is what the refusal would have elsewhere.
func Problem(refusal *layer.Refusal, status int) (int, []byte) {
	if other, ok := statuses[refusal.Reason]; ok {
		status = other
	}
	var fault Fault
	switch {
	case errors.Is(refusal.Cause, errVersion):
		status = http.StatusPreconditionFailed
	case errors.As(refusal.Cause, &fault):
	case status == http.StatusBadRequest:
		fault = InvalidSyntax
		if refusal.Reason == layer.Invalid {
			fault = InvalidValue
		}
	}
	said := map[string]any{"schemas": []string{errorSchema}, "status": strconv.Itoa(status)}
	if refusal.Public != "" {
		said["detail"] = refusal.Public
	}
	if fault != "" {
		said["scimType"] = fault
	}
	body, err := json.Marshal(said)
	if err != nil {
		body = []byte(`{"status":"500"}`) // strings marshal
	}
	return status, body
}

// resource finishes a tree: where it is, and at which version.
func (d Directory) resource(kind, id string, tree map[string]any, created, changed time.Time) Resource {
	at := d.Base + "/" + kind + "s/" + id
	meta := map[string]any{"resourceType": kind, "created": created.UTC(), "lastModified": changed.UTC(), "location": at}
	tree["id"], tree["meta"] = id, meta
	version := versionOf(tree)
	meta["version"] = version
	return Resource{ID: id, Location: at, Version: version, tree: tree}
}

// versionOf is made of everything that is shown, so that what has changed elsewhere, as a member's standing, changes it too.
func versionOf(tree map[string]any) string {
	text, err := json.Marshal(tree)
	if err != nil {
		return "" // strings, booleans and times marshal
	}
	h := sha256.Sum256(text)
	return `W/"` + hex.EncodeToString(h[:12]) + `"`
}

// matches reports whether a list of entity tags, as If-Match and If-None-Match have it, names version.
func matches(tags, version string) bool {
	for tag := range strings.SplitSeq(tags, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(version, "W/") {
			return true
		}
	}
	return false
}

// Fresh reports whether whoever has one of these versions has this one (RFC 9110 section 13.1.2).
func (r Resource) Fresh(ifNoneMatch string) bool {
	return ifNoneMatch != "" && matches(ifNoneMatch, r.Version)
}

// at refuses a change of a resource that is not at the version that the client believes (RFC 7644 section 3.14).
func (r Resource) at(ifMatch string) error {
	if ifMatch != "" && !matches(ifMatch, r.Version) {
		return &layer.Refusal{By: layer.Identity, Reason: layer.Conflict, Public: "It has changed since.", Cause: errVersion}
	}
	return nil
}

// show leaves out what v does not ask for. What is always shown stays: schemas, id and meta.
func (r Resource) show(v View) Resource {
	if len(v.Attributes) == 0 && len(v.Excluded) == 0 {
		return r
	}
	all := r.tree
	r.tree = map[string]any{}
	for name, value := range all {
		switch {
		case name == "schemas" || name == "id" || name == "meta":
		case len(v.Attributes) > 0:
			if value = only(name, value, v.Attributes); value == nil {
				continue
			}
		case listed(name, v.Excluded):
			continue
		}
		r.tree[name] = value
	}
	return r
}

// listed reports whether attribute is among the asked, which may be written with their schema.
func listed(attribute string, asked []string) bool {
	return slices.ContainsFunc(asked, func(a string) bool { return strings.EqualFold(bare(a), attribute) })
}

// only is value with those of its parts that are asked for; nil if none is.
func only(attribute string, value any, asked []string) any {
	if listed(attribute, asked) {
		return value
	}
	complex, ok := value.(map[string]any)
	if !ok {
		if slices.ContainsFunc(asked, func(a string) bool {
			head, _, _ := strings.Cut(bare(a), ".")
			return strings.EqualFold(head, attribute)
		}) {
			return value // of several values with parts, whole ones
		}
		return nil
	}
	parts := map[string]any{}
	for name, part := range complex {
		if listed(attribute+"."+name, asked) {
			parts[name] = part
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return parts
}
