package account

import (
	"context"
	"reflect"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/commons/web/machines"
	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/gate/action"
	"github.com/redoubt-dev/redoubt/layer/identity"
)

// machineRoutes are an organization's trusted machines, for its administrators (SYSTEM I9).
func (a *Account) machineRoutes() []redoubt.Route {
	return []redoubt.Route{
		redoubt.Page("GET /admin/machines", redoubt.Administrators, a.machinesPage),
		redoubt.Form("POST /admin/machines", redoubt.Administrators, a.trust).Fresh(lately).Back("GET /admin/machines").Then("/admin/machines", "The machine is trusted."),
		redoubt.Form("POST /admin/machines/{id}/revoke", redoubt.Administrators, a.distrust).Then("/admin/machines", "The machine is trusted no more, and what it was given is worth nothing."),

		redoubt.JSON("GET /api/v1/machines", redoubt.Scope("machines:write"), a.listMachines).Doc("List the machines that the organization trusts, and whom it could"),
		redoubt.JSON("POST /api/v1/machines", redoubt.Scope("machines:write"), a.trust).Fresh(lately).Doc("Trust a machine by what its provider calls it. Only a person does"),
		redoubt.JSON("DELETE /api/v1/machines/{id}", redoubt.Scope("machines:write"), a.distrust).Doc("Stop trusting a machine, and end what it was given"),
	}
}

// A MachineID names a trust.
type MachineID string

// Constraints says that a MachineID is a UUID.
func (MachineID) Constraints() reflect.StructTag { return `format:"uuid"` }

type oneMachine struct {
	ID MachineID `path:"id"`
}

// A Machine is whom an organization trusts: all that an issuer calls by some subject.
type Machine struct {
	ID             MachineID  `json:"id"`
	Name           string     `json:"name"`
	Issuer         string     `json:"issuer"`
	Audience       string     `json:"audience" doc:"what its token must be for"`
	SubjectPattern string     `json:"subject_pattern"`
	Scopes         []string   `json:"scopes"`
	Uses           int        `json:"uses" doc:"how often one token may be exchanged"`
	CreatedAt      time.Time  `json:"created_at"`
	ExpiresAt      *time.Time `json:"expires_at" doc:"null until it is revoked"`
	LastUsedAt     *time.Time `json:"last_used_at"`
	RevokedAt      *time.Time `json:"revoked_at"`
}

// Location is where it is listed.
func (m Machine) Location() string { return "/machines" }

func machineOf(t identity.Trust) Machine {
	return Machine{MachineID(t.ID), t.Name, t.Issuer, t.Audience, t.SubjectPattern, t.Scopes, t.Uses, t.CreatedAt, t.ExpiresAt, t.LastUsedAt, t.RevokedAt}
}

// A MachineList is all that an organization trusts, and what it takes to be trusted.
type MachineList struct {
	Machines []Machine `json:"machines"`
	Issuers  []string  `json:"issuers" doc:"the providers that this deployment lets an organization trust"`
	Audience string    `json:"audience" doc:"what a machine's token must be for"`
}

func (a *Account) listMachines(ctx context.Context, who layer.Principal, _ empty) (MachineList, error) {
	trusts, err := identity.Trusts(a.db.As(ctx, who))
	if err != nil {
		return MachineList{}, err
	}
	list := MachineList{Machines: []Machine{}, Issuers: append([]string{}, a.identity.MachineIssuers()...), Audience: a.identity.MachineAudience(who.Organization())}
	for _, t := range trusts {
		list.Machines = append(list.Machines, machineOf(t))
	}
	return list, nil
}

// maxUses is how often one token of a machine's may be exchanged at most, if the trust says so.
const maxUses = 1000

// TrustMachine asks for a machine to be trusted.
type TrustMachine struct {
	Name           string   `json:"name" minLength:"1" maxLength:"100"`
	Issuer         string   `json:"issuer" minLength:"1" maxLength:"500"`
	SubjectPattern string   `json:"subject_pattern" minLength:"1" maxLength:"255" doc:"the first two segments in full; in each of the others, one * for anything but a separator"`
	Scopes         []string `json:"scopes" minItems:"1" maxItems:"50" maxLength:"63"`
	Uses           int      `json:"uses" minimum:"1" maximum:"1000" doc:"how often one token may be exchanged"`
	Days           int      `json:"expires_in_days" minimum:"0" maximum:"3650" doc:"0 until it is revoked"`
}

func (a *Account) trust(ctx context.Context, who layer.Principal, in TrustMachine) (Machine, error) {
	return action.DoAssured(ctx, a.db, who, "machines:write", layer.Assurance{Within: lately}, func(tx *action.Tx) (Machine, error) {
		made, err := a.identity.AddTrust(tx.Tx, who, identity.NewTrust{Name: in.Name, Issuer: in.Issuer, SubjectPattern: in.SubjectPattern, Scopes: in.Scopes,
			Uses: in.Uses, Life: time.Duration(in.Days) * 24 * time.Hour})
		return machineOf(made), err
	})
}

func (a *Account) distrust(ctx context.Context, who layer.Principal, in oneMachine) (Nothing, error) {
	return action.Do(ctx, a.db, who, "machines:write", func(tx *action.Tx) (Nothing, error) {
		return Nothing{}, identity.RevokeTrust(tx.Tx, string(in.ID))
	})
}

func (a *Account) machinesPage(ctx context.Context, who layer.Principal, _ empty) (redoubt.View, error) {
	list, err := a.listMachines(ctx, who, empty{})
	if err != nil {
		return redoubt.View{}, err
	}
	view := machines.View{Issuers: list.Issuers, Audience: list.Audience, Exchange: redoubt.TokenPath, MaxName: 100, MaxUses: maxUses,
		Lifetimes: []machines.Lifetime{{Days: 90, Words: "after 90 days"}, {Days: 365, Words: "after a year"}, {Days: 0, Words: "when it is revoked"}}}
	for _, m := range meanings {
		if who.Has(m.Name) {
			view.Scopes = append(view.Scopes, machines.Scope(m))
		}
	}
	for _, m := range list.Machines {
		view.Trusts = append(view.Trusts, shownMachine(m))
	}
	return redoubt.View{Page: "machines", Title: "Machines", Data: view}, nil
}

func shownMachine(m Machine) machines.Trust {
	t := machines.Trust{ID: string(m.ID), Name: m.Name, Issuer: m.Issuer, Subject: m.SubjectPattern, Scopes: m.Scopes, Uses: m.Uses, Created: m.CreatedAt, Revoked: m.RevokedAt != nil}
	if m.ExpiresAt != nil {
		t.Expires, t.Expired = *m.ExpiresAt, m.ExpiresAt.Before(time.Now())
	}
	if m.LastUsedAt != nil {
		t.Used = *m.LastUsedAt
	}
	return t
}
