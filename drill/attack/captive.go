package attack

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A captive is one of the copy's database roles in an attacker's hands: what a statement smuggled into the application could say, or code
// that runs in its process. Whoever has it has passed every layer before the database.
type captive struct {
	scene *Scene
	role  string
	conn  *pgx.Conn
}

// Captured is why one failure may suffice for whoever has the application's role.
const Captured = "Who speaks SQL as the application has passed every layer before the database; there, everything rests on what its role may do, and on the one context that every policy asks"

// application captures the role that serves requests.
func (s *Scene) application(ctx context.Context) (*captive, error) {
	return s.capture(ctx, "redoubt_app", "redoubt-app")
}

func (s *Scene) capture(ctx context.Context, role, secret string) (*captive, error) {
	conn, err := s.Connect(ctx, role, secret)
	if err != nil {
		return nil, fmt.Errorf("capturing %s: %w", role, err)
	}
	return &captive{s, role, conn}, nil
}

// free gives the role back.
func (c *captive) free() { c.conn.Close(context.Background()) } // the connection ends in any case

// say says statements in a transaction, until one is refused, and gives all that was answered. A refusal is noted and is no error.
func (c *captive) say(ctx context.Context, statements ...string) (answers string, err error) {
	return c.transact(ctx, "", statements)
}

// as is say, with somebody's living API key presented first, as the application does.
func (c *captive) as(ctx context.Context, who string, statements ...string) (answers string, err error) {
	return c.transact(ctx, who, statements)
}

func (c *captive) transact(ctx context.Context, who string, statements []string) (string, error) {
	var all strings.Builder
	if err := c.one(ctx, "begin", "", &all); err != nil {
		return "", err
	}
	if who != "" {
		if err := c.one(ctx, "select redoubt.enter("+quoted(c.scene.Key(who))+")", "select redoubt.enter("+who+"'s key)", &all); refused(err) {
			return "", c.one(ctx, "rollback", "", &all) // their credential lives no more, or means nothing to this role
		} else if err != nil {
			return "", err
		}
	}
	for _, sql := range statements {
		if err := c.one(ctx, sql, sql, &all); refused(err) {
			return all.String(), c.one(ctx, "rollback", "", &all)
		} else if err != nil {
			return "", err
		}
	}
	if err := c.one(ctx, "commit", "", &all); err != nil && !refused(err) { // what was put off until the end may be refused there
		return "", err
	}
	return all.String(), nil
}

// one says one statement, told as it is to be read by others.
func (c *captive) one(ctx context.Context, sql, told string, answers *strings.Builder) error {
	rows, err := c.conn.Query(ctx, sql, pgx.QueryExecModeDescribeExec, pgx.QueryResultFormats{pgx.TextFormatCode}) // nothing stays prepared: what the text says is not known before
	if err == nil {
		for rows.Next() {
			for _, value := range rows.RawValues() {
				answers.Write(value)
				answers.WriteByte('\n')
			}
		}
		err = rows.Err()
	}
	answer := rows.CommandTag().String()
	if err != nil {
		answer = err.Error()
	}
	if told != "" {
		c.scene.Note(c.role, told, answer)
	}
	return err
}

// refused reports whether it was the database that said no.
func refused(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e)
}

// quoted makes a literal of a text of ours.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
