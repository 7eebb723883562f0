package command

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"
)

const dbContextLong = `Says how a database keeps a caller's context between presenting the credential and the policies that ask for it: in a parameter of
the server that one role alone may set, or under a seal in a setting that everybody may overwrite. It must be asked as a superuser.

--keep chooses; transactions under way are refused, the next one enters anew. After restoring a database on another server, run it with
--keep once more: rights on a server's parameters are no part of a dump.

--rotate-seal lets a new key seal, while the database is in use: what the key before it has sealed still holds.`

// A keeping is how a database keeps contexts (SYSTEM D2).
type keeping struct {
	Keep    string `json:"keep"`               // "parameter" or "seal"
	Granted bool   `json:"granted"`            // the one role may set the parameter
	Key     string `json:"seal_key"`           // the number of the key that seals
	Age     int    `json:"seal_key_age_hours"` // of that key
}

const readKeeping = `
select case when p.prosecdef then 'seal' else 'parameter' end, has_parameter_privilege('redoubt_keys', 'backtrace_functions', 'SET'),
       k.kid, round(extract(epoch from now() - k.created_at) / 3600)::int
  from pg_proc p, (select kid, created_at from redoubt.seal_key order by created_at desc limit 1) k where p.oid = 'redoubt.verified()'::regprocedure`

func dbContextCommand() *cobra.Command {
	var address, keep string
	var rotate, asJSON bool
	c := &cobra.Command{
		Use:   "context",
		Short: "See or choose how a database keeps a caller's context, and rotate the key that seals it",
		Long:  dbContextLong,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if keep != "" && keep != "parameter" && keep != "seal" {
				return usageError{errors.New("--keep is parameter or seal")}
			}
			k, err := contextOf(c, address, keep, rotate)
			if err != nil {
				return err
			}
			return k.write(c, asJSON)
		},
	}
	wrapArgs(c)
	c.Flags().StringVar(&address, "database-url", "", "the database, as a superuser; empty: what PGHOST and its like say")
	c.Flags().StringVar(&keep, "keep", "", "keep contexts by parameter or by seal from now on")
	c.Flags().BoolVar(&rotate, "rotate-seal", false, "seal with a new key from now on")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func contextOf(c *cobra.Command, address, keep string, rotate bool) (k keeping, err error) {
	ctx := c.Context()
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		return k, usageError{errors.New("--database-url is not a database's address")} // the cause may hold the password
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return k, fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close(ctx)
	if keep != "" {
		if _, err := conn.Exec(ctx, `select guard.keep_context($1)`, keep); err != nil {
			return k, hinted{fmt.Errorf("choosing how contexts are kept: %w", err), "connect as a superuser of a database that `redoubt migrate` has made"}
		}
	}
	if rotate {
		if _, err := conn.Exec(ctx, `select redoubt.rotate_seal_key()`); err != nil {
			return k, hinted{fmt.Errorf("rotating the sealing key: %w", err), "connect as a superuser or as redoubt_migrator"}
		}
	}
	if err := conn.QueryRow(ctx, readKeeping).Scan(&k.Keep, &k.Granted, &k.Key, &k.Age); err != nil {
		return k, hinted{fmt.Errorf("reading how contexts are kept: %w", err), "connect as a superuser to a database that `redoubt migrate` has made"}
	}
	return k, nil
}

func (k keeping) write(c *cobra.Command, asJSON bool) error {
	if asJSON {
		line, err := json.Marshal(k)
		if err == nil {
			fmt.Fprintln(c.OutOrStdout(), string(line))
		}
		return err
	}
	out := c.OutOrStdout()
	switch {
	case k.Keep == "seal":
		fmt.Fprintf(out, "a context is kept under a seal, by key %s, which is %d hours old\n", k.Key, k.Age)
	case k.Granted:
		fmt.Fprintln(out, "a context is kept in a parameter of the server, which redoubt_keys alone may set")
	default:
		return hinted{errors.New("a context would be kept in a parameter of the server, and redoubt_keys may not set it: every caller is refused"),
			"this database was restored from another server: redoubt db context --keep parameter"}
	}
	return nil
}
