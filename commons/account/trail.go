package account

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redoubt-dev/redoubt"
	auditmodel "github.com/redoubt-dev/redoubt/commons/web/audit"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/audit"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// trailPage asks for a part of the audit trail.
type trailPage struct {
	Action string `query:"action,omitempty" maxLength:"100" doc:"only what begins so: order, post.deleted"`
	Before int64  `query:"cursor,omitempty" minimum:"1" maximum:"9007199254740991" doc:"next of the page before"`
	Limit  int    `query:"limit,omitempty" minimum:"1" maximum:"100" doc:"entries on a page; 20 if absent"`
}

// An Event is one line of the audit trail.
type Event struct {
	ID       int64            `json:"id"`
	At       time.Time        `json:"at"`
	Actor    *layer.ProfileID `json:"actor_id"`
	Name     string           `json:"actor" doc:"display name, as it is now; empty for who has no profile yet, or no longer"`
	Visit    string           `json:"visit" doc:"address and request id"`
	Category string           `json:"category"`
	Action   string           `json:"action"`
	Entity   string           `json:"entity"`
	EntityID string           `json:"entity_id"`
	Changes  []Change         `json:"changes"`
}

// A Change is one value before and after.
type Change struct {
	Field  string `json:"field"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// A Trail is a page of events.
type Trail struct {
	Events []Event `json:"events"`
	Next   int64   `json:"next,omitempty"`
}

func (a *Account) listAudit(ctx context.Context, who layer.Principal, in trailPage) (Trail, error) {
	asker := a.db.As(ctx, who)
	size := redoubt.Window{Limit: in.Limit}.Size()
	entries, err := audit.Read(asker, in.Before, in.Action, size+1)
	if err != nil {
		return Trail{}, err
	}
	trail := Trail{Events: []Event{}}
	if len(entries) > size {
		entries = entries[:size]
		trail.Next = entries[len(entries)-1].ID
	}
	names, err := a.namesOf(asker, entries)
	if err != nil {
		return Trail{}, err
	}
	for _, e := range entries {
		event := Event{ID: e.ID, At: e.At, Actor: e.Actor, Visit: e.Visit, Category: string(e.Category), Action: e.Action, Entity: e.Entity, EntityID: e.EntityID, Changes: changes(e)}
		if e.Actor != nil {
			event.Name = names[*e.Actor]
		}
		trail.Events = append(trail.Events, event)
	}
	return trail, nil
}

const selectNames = `select id, display_name from commons.profile where id = any($1::uuid[])`

func (a *Account) namesOf(asker rls.Asker, entries []audit.Entry) (map[layer.ProfileID]string, error) {
	ids := map[layer.ProfileID]bool{}
	for _, e := range entries {
		if e.Actor != nil {
			ids[*e.Actor] = true
		}
	}
	type named struct {
		ID          layer.ProfileID
		DisplayName string
	}
	rows, err := rls.All[named](asker, selectNames, slices.Collect(maps.Keys(ids)))
	if err != nil {
		return nil, err
	}
	names := map[layer.ProfileID]string{}
	for _, r := range rows {
		names[r.ID] = r.DisplayName
	}
	return names, nil
}

// changes lists what a person would want to read: not the organization, which is always the reader's own.
func changes(e audit.Entry) []Change {
	list := []Change{}
	for _, field := range slices.Sorted(maps.Keys(e.Changes)) {
		if field == "organization_id" || field == "display_name_key" {
			continue
		}
		pair, ok := e.Changes[field].([]any)
		switch {
		case e.Action == "update" && ok && len(pair) == 2:
			list = append(list, Change{field, text(pair[0]), text(pair[1])})
		case e.Action == "delete":
			list = append(list, Change{Field: field, Before: text(e.Changes[field])})
		default:
			list = append(list, Change{Field: field, After: text(e.Changes[field])})
		}
	}
	return list
}

// maxText bounds a value on the page; the trail itself keeps it whole.
const maxText = 200

func text(v any) string {
	var s string
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		s = v
	case bool, float64:
		s = strings.TrimSuffix(fmt.Sprintf("%v", v), ".0")
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		s = string(b)
	}
	if r := []rune(s); len(r) > maxText {
		return string(r[:maxText]) + "…"
	}
	return s
}

// spoken is who did it, as the page says it. Somebody without a profile was no less somebody; only the system has no name at all.
func spoken(e Event) string {
	if e.Name == "" && e.Actor != nil {
		return "member " + string(*e.Actor)[:8]
	}
	return e.Name
}

func (a *Account) auditPage(ctx context.Context, who layer.Principal, in trailPage) (redoubt.View, error) {
	trail, err := a.listAudit(ctx, who, in)
	if err != nil {
		return redoubt.View{}, err
	}
	view := auditmodel.View{Prefix: in.Action, Prefixes: []string{"order", "post", "member", "session", "api_key", "insert", "update", "delete"}, Continued: in.Before != 0}
	if trail.Next != 0 {
		view.Next = fmt.Sprint(trail.Next)
	}
	for _, e := range trail.Events {
		address, _, _ := strings.Cut(e.Visit, " ")
		entry := auditmodel.Entry{Time: e.At, Actor: spoken(e), Action: e.Action, Entity: e.Entity, EntityID: e.EntityID, Address: address}
		for _, c := range e.Changes {
			entry.Changes = append(entry.Changes, auditmodel.Change(c))
		}
		view.Entries = append(view.Entries, entry)
	}
	return redoubt.View{Page: "audit", Title: "Audit trail", Data: view}, nil
}
