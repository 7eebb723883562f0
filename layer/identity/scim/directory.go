package scim

import (
	"maps"
	"slices"
	"time"

	"github.com/redoubt-dev/redoubt/layer/rls"
)

// The functions are SECURITY DEFINER, take the organization from the credential that was presented, and ask it for Scope (SYSTEM D2).
const (
	readUsers = `select id, user_name, external_id, active, display_name, given_name, family_name, formatted_name, emails, created_at, changed_at, groups
	               from redoubt.scim_users($1, $2, $3, $4, $5, $6, $7)`
	countUsers = `select redoubt.scim_count_users($1, $2, $3)`
	holdUser   = `select redoubt.scim_hold_user($1)`
	writeUser  = `select id, taken from redoubt.scim_put_user($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	dropUser   = `select redoubt.scim_delete_user($1)`

	readGroups  = `select id, display_name, external_id, created_at, changed_at, size from redoubt.scim_groups($1, $2, $3, $4, $5, $6)`
	countGroups = `select redoubt.scim_count_groups($1, $2, $3, $4)`
	readMembers = `select group_id, members from redoubt.scim_members($1)`
	holdGroup   = `select redoubt.scim_hold_group($1)`
	writeGroup  = `select id, taken from redoubt.scim_put_group($1, $2, $3)`
	moveMembers = `select redoubt.scim_change_members($1, $2, $3, $4)`
	dropGroup   = `select redoubt.scim_delete_group($1)`
)

type written struct {
	ID    *string
	Taken bool
}

// result is the id of what was written.
func (w written) result(err error) (string, error) {
	switch {
	case err != nil:
		return "", err
	case w.Taken:
		return "", taken()
	case w.ID == nil:
		return "", absent()
	}
	return *w.ID, nil
}

// ---- users ----

// Users searches. A filter of userName, externalId or id, with eq, is looked up; what else it asks for is compared user by user, up to
// 100,000 of them.
func (d Directory) Users(asker rls.Asker, q Query) (List, error) {
	start, count := q.window(maxUsers)
	p := pins{}
	if q.Filter != "" {
		f, err := parseFilter(q.Filter, userAttributes)
		if err != nil {
			return List{}, err
		}
		p = pinned(f, "userName", "externalId", "id")
	}
	id, ok := p.uuid("id")
	if !ok {
		return newList(0, start, nil), nil
	}
	page := func(after *user, skip, most int) ([]user, error) {
		var at *time.Time
		var last *string
		if after != nil {
			at, last = &after.CreatedAt, &after.ID
		}
		return rls.All[user](asker, readUsers, id, p.text("userName"), p.text("externalId"), at, last, skip, most)
	}
	if p.rest != nil {
		return d.scan(p.rest, q.View, start, count, page)
	}
	total, err := rls.One[int](asker, countUsers, id, p.text("userName"), p.text("externalId"))
	if err != nil || count == 0 || start > total {
		return newList(total, start, nil), err
	}
	users, err := page(nil, start-1, count)
	if err != nil {
		return List{}, err
	}
	var found []Resource
	for _, u := range users {
		found = append(found, u.resource(d).show(q.View))
	}
	return newList(total, start, found), nil
}

// scan compares page by page.
func (d Directory) scan(f filter, v View, start, count int, page func(after *user, skip, most int) ([]user, error)) (List, error) {
	var found []Resource
	var last *user
	total := 0
	for seen := 0; ; {
		users, err := page(last, 0, scanPage)
		if err != nil {
			return List{}, err
		}
		if seen += len(users); seen > maxScan {
			return List{}, invalid(TooMany, "That filter would have to look at too many users. Ask for a userName, externalId or id.")
		}
		for _, u := range users {
			r := u.resource(d)
			if !f.match(r.tree) {
				continue
			}
			if total++; total >= start && len(found) < count {
				found = append(found, r.show(v))
			}
		}
		if len(users) < scanPage {
			return newList(total, start, found), nil
		}
		last = &users[len(users)-1]
	}
}

func (d Directory) user(asker rls.Asker, id string) (user, error) {
	if !isUUID(id) {
		return user{}, absent()
	}
	users, err := rls.All[user](asker, readUsers, id, nil, nil, nil, nil, 0, 1)
	if err == nil && len(users) == 0 {
		err = absent()
	}
	if err != nil {
		return user{}, err
	}
	return users[0], nil
}

// User reads one.
func (d Directory) User(asker rls.Asker, id string, v View) (Resource, error) {
	u, err := d.user(asker, id)
	if err != nil {
		return Resource{}, err
	}
	return u.resource(d).show(v), nil
}

// CreateUser announces a user. Active unless the body says otherwise.
func (d Directory) CreateUser(tx *rls.Tx, body []byte, v View) (Resource, error) {
	u, err := putUser(user{Active: true}, body)
	if err != nil {
		return Resource{}, err
	}
	return d.writeUser(tx, nil, u, v)
}

// ReplaceUser says anew all that there is to a user (RFC 7644 section 3.5.1).
func (d Directory) ReplaceUser(tx *rls.Tx, id string, body []byte, ifMatch string, v View) (Resource, error) {
	return d.changeUser(tx, id, body, ifMatch, v, putUser)
}

// PatchUser changes some of it (section 3.5.2). Two at a time come one after the other.
func (d Directory) PatchUser(tx *rls.Tx, id string, body []byte, ifMatch string, v View) (Resource, error) {
	return d.changeUser(tx, id, body, ifMatch, v, patchUser)
}

func (d Directory) changeUser(tx *rls.Tx, id string, body []byte, ifMatch string, v View, by func(user, []byte) (user, error)) (Resource, error) {
	was, err := d.held(tx, id, ifMatch)
	if err != nil {
		return Resource{}, err
	}
	u, err := by(was, body)
	if err != nil {
		return Resource{}, err
	}
	return d.writeUser(tx, &id, u, v)
}

// held reads a user whom nobody else changes until the transaction ends, at the version that the client believes.
func (d Directory) held(tx *rls.Tx, id, ifMatch string) (user, error) {
	if !isUUID(id) {
		return user{}, absent()
	}
	there, err := rls.One[bool](tx, holdUser, id)
	if err == nil && !there {
		err = absent()
	}
	if err != nil {
		return user{}, err
	}
	u, err := d.user(tx, id)
	if err != nil {
		return user{}, err
	}
	return u, u.resource(d).at(ifMatch)
}

func (d Directory) writeUser(tx *rls.Tx, id *string, u user, v View) (Resource, error) {
	addresses, err := u.addresses()
	if err != nil {
		return Resource{}, err
	}
	w, err := rls.One[written](tx, writeUser, id, u.UserName, u.ExternalID, u.Active, u.Display, u.Given, u.Family, u.Formatted, addresses)
	is, err := w.result(err)
	if err != nil {
		return Resource{}, err
	}
	return d.User(tx, is, v)
}

// DeleteUser withdraws a user. What a member wrote stays (SYSTEM I8).
func (d Directory) DeleteUser(tx *rls.Tx, id, ifMatch string) error {
	if _, err := d.held(tx, id, ifMatch); err != nil {
		return err
	}
	return gone(rls.One[bool](tx, dropUser, id))
}

func gone(ok bool, err error) error {
	if err == nil && !ok {
		return absent()
	}
	return err
}

// ---- groups ----

// Groups searches. A filter of displayName, externalId, id or members, with eq, is looked up; members are found in no other way.
func (d Directory) Groups(asker rls.Asker, q Query) (List, error) {
	start, count := q.window(maxGroups)
	p := pins{}
	if q.Filter != "" {
		f, err := parseFilter(q.Filter, groupAttributes)
		if err != nil {
			return List{}, err
		}
		if p = pinned(f, "displayName", "externalId", "id", "members"); mentions(p.rest, "members") {
			return List{}, badFilter()
		}
	}
	id, ok := p.uuid("id")
	member, too := p.uuid("members")
	if !ok || !too {
		return newList(0, start, nil), nil
	}
	skip, most := start-1, count
	if p.rest != nil {
		skip, most = 0, scanPage // an organization has no more
	}
	total, err := rls.One[int](asker, countGroups, id, p.text("displayName"), p.text("externalId"), member)
	if err != nil || p.rest == nil && (count == 0 || start > total) {
		return newList(total, start, nil), err
	}
	groups, err := rls.All[group](asker, readGroups, id, p.text("displayName"), p.text("externalId"), member, skip, most)
	if err != nil {
		return List{}, err
	}
	if p.rest != nil {
		groups = slices.DeleteFunc(groups, func(g group) bool { return !p.rest.match(g.resource(d, nil).tree) })
		total = len(groups)
		groups = groups[min(start-1, total):min(start-1+count, total)]
	}
	found, err := d.shown(asker, groups, q.View)
	return newList(total, start, found), err
}

// shown are groups with their members, as many as go on a page.
func (d Directory) shown(asker rls.Asker, groups []group, v View) ([]Resource, error) {
	members := map[string][]reference{}
	if v.shows("members") {
		listed := 0
		for i, g := range groups {
			if listed += int(g.Size); listed > maxListed && i > 0 {
				groups = groups[:i]
				break
			}
		}
		ids := make([]string, len(groups))
		for i, g := range groups {
			ids[i] = g.ID
		}
		type row struct {
			GroupID string
			Members []reference
		}
		rows, err := rls.All[row](asker, readMembers, ids)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			members[r.GroupID] = r.Members
		}
	}
	found := make([]Resource, len(groups))
	for i, g := range groups {
		found[i] = g.resource(d, members[g.ID]).show(v)
	}
	return found, nil
}

// shows reports whether anything of an attribute is shown.
func (v View) shows(attribute string) bool {
	if len(v.Attributes) > 0 {
		return slices.ContainsFunc(v.Attributes, func(a string) bool { at, ok := find(groupAttributes, a); return ok && at.name == attribute })
	}
	return !listed(attribute, v.Excluded)
}

// mentions reports whether a filter asks for an attribute.
func mentions(f filter, attribute string) bool {
	switch f := f.(type) {
	case both:
		return mentions(f.left, attribute) || mentions(f.right, attribute)
	case either:
		return mentions(f.left, attribute) || mentions(f.right, attribute)
	case not:
		return mentions(f.of, attribute)
	case item:
		return f.of.name == attribute
	case comparison:
		return f.name == attribute
	}
	return false
}

func (d Directory) group(asker rls.Asker, id string) (group, error) {
	if !isUUID(id) {
		return group{}, absent()
	}
	groups, err := rls.All[group](asker, readGroups, id, nil, nil, nil, 0, 1)
	if err == nil && len(groups) == 0 {
		err = absent()
	}
	if err != nil {
		return group{}, err
	}
	return groups[0], nil
}

// Group reads one.
func (d Directory) Group(asker rls.Asker, id string, v View) (Resource, error) {
	g, err := d.group(asker, id)
	if err != nil {
		return Resource{}, err
	}
	found, err := d.shown(asker, []group{g}, v)
	if err != nil {
		return Resource{}, err
	}
	return found[0], nil
}

// CreateGroup makes a group.
func (d Directory) CreateGroup(tx *rls.Tx, body []byte, v View) (Resource, error) {
	c, err := putGroup(group{}, body)
	if err != nil {
		return Resource{}, err
	}
	c.only = false // there is nobody in it
	return d.writeGroup(tx, nil, c, v)
}

// ReplaceGroup says anew what a group is called and who is in it.
func (d Directory) ReplaceGroup(tx *rls.Tx, id string, body []byte, ifMatch string, v View) (Resource, error) {
	return d.changeGroup(tx, id, body, ifMatch, v, putGroup)
}

// PatchGroup changes some of it.
func (d Directory) PatchGroup(tx *rls.Tx, id string, body []byte, ifMatch string, v View) (Resource, error) {
	return d.changeGroup(tx, id, body, ifMatch, v, patchGroup)
}

func (d Directory) changeGroup(tx *rls.Tx, id string, body []byte, ifMatch string, v View, by func(group, []byte) (change, error)) (Resource, error) {
	was, err := d.heldGroup(tx, id, ifMatch)
	if err != nil {
		return Resource{}, err
	}
	c, err := by(was, body)
	if err != nil {
		return Resource{}, err
	}
	return d.writeGroup(tx, &id, c, v)
}

func (d Directory) heldGroup(tx *rls.Tx, id, ifMatch string) (group, error) {
	if !isUUID(id) {
		return group{}, absent()
	}
	there, err := rls.One[bool](tx, holdGroup, id)
	if err == nil && !there {
		err = absent()
	}
	if err != nil {
		return group{}, err
	}
	g, err := d.group(tx, id)
	if err != nil {
		return group{}, err
	}
	return g, g.resource(d, nil).at(ifMatch)
}

// writeGroup writes what is said anew, and nothing where it says what was.
func (d Directory) writeGroup(tx *rls.Tx, id *string, c change, v View) (Resource, error) {
	w, err := rls.One[written](tx, writeGroup, id, c.Display, c.ExternalID)
	is, err := w.result(err)
	if err != nil {
		return Resource{}, err
	}
	if c.membersChange() {
		moved, err := rls.One[*int](tx, moveMembers, is, list(c.added), list(c.removed), c.only)
		if err != nil {
			return Resource{}, err
		}
		if moved == nil {
			return Resource{}, invalid(InvalidValue, "A member is a user of this organization, by their id.")
		}
	}
	return d.Group(tx, is, v)
}

// list is a set as the database takes it: never nil, which it would take for unknown.
func list(set map[string]bool) []string {
	return slices.AppendSeq(make([]string, 0, len(set)), maps.Keys(set))
}

// DeleteGroup removes a group and nobody who is in it. What it gave them goes.
func (d Directory) DeleteGroup(tx *rls.Tx, id, ifMatch string) error {
	if _, err := d.heldGroup(tx, id, ifMatch); err != nil {
		return err
	}
	return gone(rls.One[bool](tx, dropGroup, id))
}
