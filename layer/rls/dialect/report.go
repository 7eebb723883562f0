package dialect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
)

// Config says which database to read, and for which engine. Read reports all its problems at once.
type Config struct {
	ConnString string        // the database, as a URL or in libpq's words; empty means what PGHOST, PGDATABASE and their like say
	Engine     Engine        // required
	Timeout    time.Duration // for each query; 0 means 30 seconds
}

// A Report is what a database would need on another engine, and what stands in the way.
type Report struct {
	Engine   Engine    `json:"engine"`
	Version  string    `json:"postgresql"` // of the server that was read
	Tables   int       `json:"tenant_tables"`
	Text     string    `json:"text"`
	Findings []Finding `json:"findings"`
}

// A misuse is about what was asked for, and not about the database. Its words hold no address and no password.
type misuse struct{ what, advice string }

func (m misuse) Error() string { return m.what }

// Hint says what to do.
func (m misuse) Hint() string { return m.advice }

// Misused reports whether err is about what was asked for.
func Misused(err error) bool {
	var m misuse
	return errors.As(err, &m)
}

// Read reads a database, in a session that cannot write.
func Read(ctx context.Context, cfg Config) (*Report, error) {
	c, err := cfg.check()
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil { // its words name hosts and people
		return nil, errors.Join(errors.New("the database cannot be reached, or does not let this role in"), ctx.Err())
	}
	defer conn.Close(context.WithoutCancel(ctx))
	r := &Report{Engine: cfg.Engine}
	if err := conn.QueryRow(ctx, `select split_part(current_setting('server_version'), ' ', 1)`).Scan(&r.Version); err != nil {
		return nil, fmt.Errorf("asking for the version: %w", hide(err))
	}
	all, err := Tables(ctx, conn)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		if t.Place == Spread {
			r.Tables++
		}
	}
	if r.Text, err = cfg.Engine.Text(all); err != nil {
		return nil, err
	}
	r.Findings, err = Lint(ctx, conn, cfg.Engine)
	return r, err
}

func (cfg Config) check() (*pgx.ConnConfig, error) {
	var wrong []string
	if !cfg.Engine.Known() {
		wrong = append(wrong, errUnknown.Error())
	}
	if cfg.Timeout < 0 {
		wrong = append(wrong, "the time limit is below zero")
	}
	c, err := pgx.ParseConfig(cfg.ConnString)
	if err != nil { // its words may hold the password
		wrong = append(wrong, "the address of the database cannot be read")
	}
	if wrong != nil {
		return nil, misuse{strings.Join(wrong, "; "), "an address looks like postgres://user@host:5432/database; the password may be in PGPASSWORD"}
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 10 * time.Second
	}
	c.RuntimeParams["application_name"] = "redoubt db dialect"
	c.RuntimeParams["default_transaction_read_only"] = "on"
	c.RuntimeParams["statement_timeout"] = fmt.Sprint(cfg.Timeout.Milliseconds())
	c.RuntimeParams["lock_timeout"] = "2000"
	return c, nil
}

// Count is the number of findings of one weight.
func (r *Report) Count(w Weight) (n int) {
	for _, f := range r.Findings {
		if f.Weight == w {
			n++
		}
	}
	return n
}

// WriteJSON writes the report for programs. Members are added to it and never change their meaning.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteText writes the report as SQL, with the findings as comments before the text, so that the whole can be kept as a file.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "-- For %s, from a PostgreSQL %s with %s.\n", r.Engine, plainText(r.Version), counted(r.Tables, "tenant table"))
	fmt.Fprintf(&b, "-- Findings: %d silent, %d refused, %d different.\n", r.Count(Silent), r.Count(Refused), r.Count(Differs))
	for i, f := range r.Findings {
		if i == 0 || r.Findings[i-1].Rule != f.Rule {
			fmt.Fprintf(&b, "--\n-- %s %s  %s.\n--   why   %s\n--   mend  %s\n--   see   %s\n--         %s\n", f.Rule, f.Weight, f.Title, f.Why, f.Mend, f.Source.Title, f.Source.URL)
		}
		fmt.Fprintf(&b, "--   at    %s: %s\n", plainText(f.Object), plainText(f.Problem))
	}
	b.WriteString("\n" + r.Text)
	_, err := io.WriteString(w, b.String())
	return err
}

// plainText keeps a name from leaving its comment or moving a terminal's cursor.
func plainText(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return '\uFFFD'
	}, s)
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
