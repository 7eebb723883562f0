package rls

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/redoubt-dev/redoubt/layer"
)

var (
	errNobody        = errors.New("nobody asks")
	errEnded         = errors.New("using a transaction that has ended")
	errTooManyRows   = errors.New("a statement returned more than 10,000 rows")
	errTooMuchQueued = errors.New("more than 100 statements wait for the commit")
)

func nobody() error {
	return &layer.Refusal{By: layer.RLS, Reason: layer.Unauthenticated, Public: "Please sign in.", Cause: errNobody}
}

// SQLSTATEs of our own functions (schema/*.sql).
const (
	stateNoScope  = "RD403" // redoubt.require: the third gate's question was answered with no
	stateConflict = "RD409" // a rule of identity's functions
	stateNoOwner  = "RD410" // an organization's last owner would be gone
	stateLimited  = "RD429" // a bound on how many there may be, or how often
	stateUnproven = "RD401" // redoubt.require_proof: the person has to prove again who they are
)

// refusals is the one table from what PostgreSQL says to what the caller is told. Messages name no table, column or value.
var refusals = map[string]layer.Refusal{
	"28000":       {By: layer.RLS, Reason: layer.Unauthenticated, Public: "Please sign in again."},
	stateNoScope:  {By: layer.GateAction, Reason: layer.Forbidden, Public: "You may not do this."},
	stateUnproven: {By: layer.GateAction, Reason: layer.Unproven, Public: "Please confirm that it is you, by signing in once more."},
	stateConflict: {By: layer.RLS, Reason: layer.Conflict, Public: "This cannot be done as things are."},
	stateNoOwner:  {By: layer.RLS, Reason: layer.Conflict, Public: "An organization needs an owner. Make somebody else one first."},
	stateLimited:  {By: layer.RLS, Reason: layer.Limited, Public: "That is as much as one may have, or as often. Please wait, or remove something first."},
	"42501":       {By: layer.RLS, Reason: layer.Forbidden, Public: "You may not do this."}, // a policy or a grant
	"23505":       {By: layer.RLS, Reason: layer.Conflict, Public: "There is one like this already."},
	"23503":       {By: layer.RLS, Reason: layer.NotFound, Public: "It refers to something that is not here."},
	"23514":       {By: layer.RLS, Reason: layer.Invalid, Public: "A value is outside what is allowed."},
	"23502":       {By: layer.RLS, Reason: layer.Invalid, Public: "A value is missing."},
	"22001":       {By: layer.RLS, Reason: layer.Invalid, Public: "A value is too long."},
	"22003":       {By: layer.RLS, Reason: layer.Invalid, Public: "A number is outside what is allowed."},
	"22021":       {By: layer.RLS, Reason: layer.Invalid, Public: "A text holds characters that are not allowed."},
	"22P02":       {By: layer.RLS, Reason: layer.NotFound, Public: "There is nothing here."}, // not an id at all
	"40001":       {By: layer.RLS, Reason: layer.Unavailable, Public: "Somebody else was faster. Please try again."},
	"40P01":       {By: layer.RLS, Reason: layer.Unavailable, Public: "Somebody else was faster. Please try again."},
	"55P03":       {By: layer.RLS, Reason: layer.Unavailable, Public: "Somebody else was faster. Please try again."},
	"57014":       {By: layer.RLS, Reason: layer.Unavailable, Public: "This took too long. Please try again."},
}

// refuse turns an error of the database into the refusal that a caller sees. Anything unknown stays an error, which the
// outermost ring shows as a fault of ours.
func refuse(err error) error {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrNoRows):
		return &layer.Refusal{By: layer.RLS, Reason: layer.NotFound, Public: "There is nothing here.", Cause: err}
	case errors.As(err, &pg):
		r, ok := refusals[pg.Code]
		if !ok && (strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "57P")) {
			r, ok = layer.Refusal{By: layer.RLS, Reason: layer.Unavailable, Public: "The database does not answer. Please try again."}, true
		}
		if ok {
			r.Cause = quiet{pg}
			return &r
		}
		return quiet{pg}
	case errors.Is(err, context.DeadlineExceeded), pgconn.Timeout(err), connecting(err):
		return &layer.Refusal{By: layer.RLS, Reason: layer.Unavailable, Public: "The database does not answer. Please try again.", Cause: errors.New("the database does not answer")}
	}
	return err
}

func connecting(err error) bool {
	var c *pgconn.ConnectError
	return errors.As(err, &c)
}

// quiet names an error of PostgreSQL for the log. Its message and detail may quote submitted values, so it shows only names:
// the code, and the constraint, table or column that it concerns. Messages of our own functions quote nothing.
type quiet struct{ pg *pgconn.PgError }

func (q quiet) Error() string {
	text := "database: SQLSTATE " + q.pg.Code
	if strings.HasPrefix(q.pg.Message, "redoubt: ") {
		return text + ": " + q.pg.Message
	}
	for _, name := range []string{q.pg.TableName, q.pg.ColumnName, q.pg.ConstraintName} {
		if name != "" {
			text += " " + name
		}
	}
	return text
}

// aborts reports whether err has ended the transaction on the server's side. A row that was not there has not.
func aborts(err error) bool { return !errors.Is(err, pgx.ErrNoRows) }

// tainted reports whether a connection may have been used for something that only an attack would try. It is closed, so that
// nothing left behind on it (a prepared statement, a setting) meets the next caller.
func tainted(err error) bool {
	var pg *pgconn.PgError
	var ours *layer.Refusal
	if errors.As(err, &ours) { // of an id: whoever sends one must not cost us a connection
		return false
	}
	if !errors.As(err, &pg) {
		return err != nil && !errors.Is(err, pgx.ErrNoRows)
	}
	switch pg.Code {
	case "42601", "42501", "28000", "25006", "0A000":
		return true
	}
	return false
}
