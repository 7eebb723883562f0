package scim

import (
	"slices"
	"time"
)

// A group is what is kept of one.
type group struct {
	ID         string
	Display    string `db:"display_name"`
	ExternalID *string
	CreatedAt  time.Time
	ChangedAt  time.Time
	Size       int64
}

// resource shows g with these members; nil for none, or to leave them out.
func (g group) resource(d Directory, members []reference) Resource {
	// Only a change of the group's own changes who is in it, or it changes its size; so its version need not know whom it lists.
	tree := map[string]any{"schemas": []any{groupSchema}, "displayName": g.Display, "size": g.Size}
	if g.ExternalID != nil {
		tree["externalId"] = *g.ExternalID
	}
	r := d.resource("Group", g.ID, tree, g.CreatedAt, g.ChangedAt)
	delete(tree, "size")
	if len(members) > 0 {
		tree["members"] = trees(members, func(m reference) map[string]any { return m.tree(d, "User") })
	}
	return r
}

// A change is what a body says of a group: what it is called, and who comes and goes.
type change struct {
	group
	only    bool // nobody is in it but the added
	added   map[string]bool
	removed map[string]bool
}

func (c *change) clear() { c.only, c.added, c.removed = true, map[string]bool{}, map[string]bool{} }

func (c *change) membersChange() bool { return c.only || len(c.added)+len(c.removed) > 0 }

func (c *change) put(ids []string, in bool) {
	to, from := c.added, c.removed
	if !in {
		to, from = from, to
	}
	for _, id := range ids {
		delete(from, id)
		to[id] = true
	}
}

func patchGroup(g group, body []byte) (change, error) {
	ops, err := operations(body, groupAttributes)
	if err != nil {
		return change{}, err
	}
	return change{group: g, added: map[string]bool{}, removed: map[string]bool{}}.with(ops)
}

// putGroup is what a body says. A group without members in it is empty; see putUser for the rest.
func putGroup(g group, body []byte) (change, error) {
	o, err := decode(body)
	if err != nil {
		return change{}, err
	}
	if err := o.speaks(groupSchema); err != nil {
		return change{}, err
	}
	ops, err := readObject(nil, "replace", o, groupAttributes)
	if err != nil {
		return change{}, err
	}
	c := change{group: g}
	c.Display = ""
	c.clear()
	return c.with(ops)
}

func (c change) with(ops []operation) (change, error) {
	for _, o := range ops {
		if idle, err := o.idle(); idle || err != nil {
			if err != nil {
				return c, err
			}
			continue
		}
		if err := c.apply(o); err != nil {
			return c, err
		}
	}
	if c.Display == "" {
		return c, invalid(InvalidValue, "A group needs a displayName.")
	}
	return c, nil
}

func (c *change) apply(o operation) (err error) {
	if o.op == "remove" && o.path.name != "members" {
		o.value = nil
	}
	switch o.path.name {
	case "displayName":
		c.Display, err = text(o.value, 255)
	case "externalId":
		c.ExternalID = nil
		var s string
		if s, err = text(o.value, 255); s != "" {
			c.ExternalID = &s
		}
	case "members":
		return c.regroup(o)
	}
	return err
}

// regroup notes who comes and goes. Which members go is named by id: in the path, or in the value as some providers have it.
func (c *change) regroup(o operation) error {
	if o.path.part != nil {
		return invalid(InvalidPath, "Name whole members.")
	}
	if o.path.which != nil {
		ids, ok := namedIDs(o.path.which)
		if !ok || o.op != "remove" {
			return invalid(InvalidPath, "Name members by their value.")
		}
		c.put(ids, false)
		return nil
	}
	var ids []string
	for _, one := range items(o.value) {
		id, err := memberID(one)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	switch {
	case o.op == "remove" && o.value != nil:
		c.put(ids, false)
		return nil
	case o.op != "add":
		c.clear()
	}
	c.put(ids, true)
	return nil
}

// namedIDs are those of a filter like value eq "…" or value eq "…".
func namedIDs(f filter) ([]string, bool) {
	switch f := f.(type) {
	case either:
		left, ok := namedIDs(f.left)
		right, too := namedIDs(f.right)
		return slices.Concat(left, right), ok && too
	case comparison:
		id, ok := f.value.(string)
		return []string{id}, ok && f.op == "eq" && isUUID(id)
	}
	return nil, false
}

func memberID(v any) (string, error) {
	o, _ := v.(object)
	id, _ := o["value"].(string)
	if kind, ok := o["type"].(string); !isUUID(id) || ok && kind != "" && kind != "User" {
		return "", invalid(InvalidValue, "A member is a user of this organization, by their id.")
	}
	return id, nil
}
