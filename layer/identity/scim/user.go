package scim

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// A user is what is kept of one. The groups are shown, and changed as groups.
type user struct {
	ID         string
	UserName   string
	ExternalID *string
	Active     bool
	Display    string `db:"display_name"`
	Given      string `db:"given_name"`
	Family     string `db:"family_name"`
	Formatted  string `db:"formatted_name"`
	Emails     []email
	CreatedAt  time.Time
	ChangedAt  time.Time
	Groups     []reference
}

type email struct {
	Value   string `json:"value"`
	Type    string `json:"type,omitempty"`
	Display string `json:"display,omitempty"`
	Primary bool   `json:"primary,omitempty"`
}

type reference struct {
	Value   string `json:"value"`
	Display string `json:"display,omitempty"`
}

func (u user) resource(d Directory) Resource {
	tree := map[string]any{"schemas": []any{userSchema}, "userName": u.UserName, "active": u.Active}
	for name, value := range map[string]string{"displayName": u.Display, "externalId": deref(u.ExternalID)} {
		if value != "" {
			tree[name] = value
		}
	}
	name := map[string]any{}
	for part, value := range map[string]string{"formatted": u.Formatted, "givenName": u.Given, "familyName": u.Family} {
		if value != "" {
			name[part] = value
		}
	}
	if len(name) > 0 {
		tree["name"] = name
	}
	if len(u.Emails) > 0 {
		tree["emails"] = trees(u.Emails, email.tree)
	}
	if len(u.Groups) > 0 {
		tree["groups"] = trees(u.Groups, func(g reference) map[string]any { return g.tree(d, "Group") })
	}
	return d.resource("User", u.ID, tree, u.CreatedAt, u.ChangedAt)
}

func (e email) tree() map[string]any {
	t := map[string]any{"value": e.Value, "primary": e.Primary}
	if e.Type != "" {
		t["type"] = e.Type
	}
	if e.Display != "" {
		t["display"] = e.Display
	}
	return t
}

func (r reference) tree(d Directory, kind string) map[string]any {
	return map[string]any{"value": r.Value, "display": r.Display, "type": kind, "$ref": d.Base + "/" + kind + "s/" + r.Value}
}

func trees[T any](all []T, of func(T) map[string]any) []any {
	out := make([]any, len(all))
	for i, one := range all {
		out[i] = of(one)
	}
	return out
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func sorted(o object) []string { return slices.Sorted(maps.Keys(o)) }

// patchUser changes u by each operation in turn. If one is wrong none counts.
func patchUser(u user, body []byte) (user, error) {
	ops, err := operations(body, userAttributes)
	if err != nil {
		return u, err
	}
	return u.with(ops)
}

// putUser is what a body says, and of u what no client writes. What the body leaves out is gone (RFC 7644 section 3.5.1), but for whether the
// user is active and by what the provider knows them: silence neither readmits nor forgets anybody.
func putUser(u user, body []byte) (user, error) {
	o, err := decode(body)
	if err != nil {
		return u, err
	}
	if err := o.speaks(userSchema); err != nil {
		return u, err
	}
	ops, err := readObject(nil, "replace", o, userAttributes)
	if err != nil {
		return u, err
	}
	return user{ID: u.ID, Active: u.Active, ExternalID: u.ExternalID, CreatedAt: u.CreatedAt, ChangedAt: u.ChangedAt, Groups: u.Groups}.with(ops)
}

func (u user) with(ops []operation) (user, error) {
	u.Emails = slices.Clone(u.Emails)
	for _, o := range ops {
		if idle, err := o.idle(); idle || err != nil {
			if err != nil {
				return u, err
			}
			continue
		}
		if err := u.apply(o); err != nil {
			return u, err
		}
	}
	if u.UserName == "" {
		return u, invalid(InvalidValue, "A user needs a userName.")
	}
	return u, nil
}

// apply sets one attribute. To remove one is to set it to nothing.
func (u *user) apply(o operation) (err error) {
	if o.op == "remove" && o.path.name != "emails" {
		o.value = nil
	}
	switch o.path.name {
	case "active":
		if o.op == "remove" { // neither readmits nor stops
			return invalid(InvalidValue, "Say whether the user is active.")
		}
		u.Active, err = flag(o.value)
	case "userName":
		u.UserName, err = text(o.value, 320)
	case "displayName":
		u.Display, err = text(o.value, 200)
	case "externalId":
		u.ExternalID = nil
		var s string
		if s, err = text(o.value, 255); s != "" {
			u.ExternalID = &s
		}
	case "name":
		return u.rename(o)
	case "emails":
		return u.readdress(o)
	}
	return err
}

func (u *user) rename(o operation) (err error) {
	if o.path.part != nil {
		return u.renamePart(o.path.part.name, o.value)
	}
	parts, ok := o.value.(object)
	if !ok && o.value != nil {
		return invalid(InvalidValue, "A name is an object.")
	}
	if o.op != "add" {
		u.Formatted, u.Given, u.Family = "", "", ""
	}
	for _, name := range sorted(parts) {
		at, known := find(userAttributes, "name."+name)
		switch {
		case known:
			err = u.renamePart(at.part.name, parts[name])
		case !ignored("name." + name):
			err = invalid(InvalidSyntax, "An attribute is not one of this resource's schema.")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (u *user) renamePart(part string, value any) (err error) {
	switch part {
	case "formatted":
		u.Formatted, err = text(value, 200)
	case "givenName":
		u.Given, err = text(value, 200)
	case "familyName":
		u.Family, err = text(value, 200)
	}
	return err
}

// readdress changes the list of addresses.
func (u *user) readdress(o operation) error {
	fits := func(e email) bool { return o.path.which == nil || o.path.which.match(e.tree()) }
	switch {
	case o.path.part != nil:
		if err := u.readdressPart(o, fits); err != nil {
			return err
		}
	case o.op == "remove":
		u.Emails = slices.DeleteFunc(u.Emails, fits)
	default:
		if o.op == "replace" {
			u.Emails = slices.DeleteFunc(u.Emails, fits)
		}
		for _, one := range items(o.value) {
			e, err := readEmail(one)
			if err != nil {
				return err
			}
			u.Emails = slices.DeleteFunc(u.Emails, func(x email) bool { return strings.EqualFold(x.Value, e.Value) && x.Type == e.Type })
			u.add(e)
		}
	}
	if len(u.Emails) > maxEmails {
		return invalid(TooMany, "A user has up to ten addresses.")
	}
	return nil
}

// add puts an address last. Of several only the last that says so is the primary one (RFC 7643 section 2.4).
func (u *user) add(e email) {
	if e.Primary {
		for i := range u.Emails {
			u.Emails[i].Primary = false
		}
	}
	u.Emails = append(u.Emails, e)
}

// readdressPart changes one part of the addresses that fit. If none does, and the filter says how one that did would look, it is made:
// providers give a user their first address so.
func (u *user) readdressPart(o operation, fits func(email) bool) error {
	found := false
	for i := range u.Emails {
		if fits(u.Emails[i]) {
			found = true
			if err := u.Emails[i].set(o.path.part.name, o.value, o.op); err != nil {
				return err
			}
		}
	}
	if !found && o.op != "remove" {
		e, ok := likened(o.path.which)
		if !ok {
			return invalid(NoTarget, "No address is like that.")
		}
		if err := e.set(o.path.part.name, o.value, o.op); err != nil {
			return err
		}
		u.add(e)
	}
	if slices.ContainsFunc(u.Emails, func(e email) bool { return e.Value == "" }) {
		if o.op != "remove" {
			return invalid(InvalidValue, "An address needs a value.")
		}
		u.Emails = slices.DeleteFunc(u.Emails, func(e email) bool { return e.Value == "" })
	}
	return nil
}

// likened is an address as a filter of one comparison describes it.
func likened(f filter) (e email, ok bool) {
	if f == nil {
		return e, true
	}
	c, ok := f.(comparison)
	if !ok || c.op != "eq" {
		return e, false
	}
	return e, e.set(c.name, c.value, "add") == nil
}

func (e *email) set(part string, value any, op string) (err error) {
	if op == "remove" {
		value = nil
	}
	switch part {
	case "value":
		e.Value, err = text(value, 320)
	case "type":
		e.Type, err = text(value, 50)
	case "display":
		e.Display, err = text(value, 200)
	case "primary":
		e.Primary = false
		if value != nil {
			e.Primary, err = flag(value)
		}
	}
	return err
}

func readEmail(v any) (e email, err error) {
	o, ok := v.(object)
	if !ok {
		return e, invalid(InvalidValue, "An address is an object with a value.")
	}
	for _, part := range sorted(o) {
		if err := e.set(part, o[part], "add"); err != nil {
			return e, err
		}
	}
	if e.Value == "" {
		return e, invalid(InvalidValue, "An address needs a value.")
	}
	return e, nil
}

// addresses is how the database keeps the list.
func (u user) addresses() (string, error) {
	if u.Emails == nil {
		return "[]", nil
	}
	text, err := json.Marshal(u.Emails)
	return string(text), err
}
