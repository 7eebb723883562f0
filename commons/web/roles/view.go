// Package roles is the model of the page of an organization's own roles, GET /organization/roles.
package roles

// A View lists the roles and offers to make one. Its forms are POST /organization/roles with "name" and "scopes" (one value for each box
// that is ticked), the same at POST /organization/roles/{id}, and POST /organization/roles/{id}/delete.
type View struct {
	Roles  []Role
	Scopes []Scope // that the viewer may put into a role
}

// A Scope is one thing that a role may allow.
type Scope struct {
	Name  string // "posts:moderate"
	Means string // "Delete anybody's posts and comments"
}

// A Role is one of the organization's own.
type Role struct {
	ID      string
	Name    string
	Scopes  []Scope
	Bearers int
	Mine    bool // the viewer has all that it holds, and so may change it
}

// Holds reports whether the role allows a scope.
func (r Role) Holds(scope string) bool {
	for _, s := range r.Scopes {
		if s.Name == scope {
			return true
		}
	}
	return false
}
