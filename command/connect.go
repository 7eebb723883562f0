package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"github.com/redoubt-dev/redoubt/layer"
	"github.com/redoubt-dev/redoubt/layer/perimeter"
	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
	"github.com/redoubt-dev/redoubt/layer/perimeter/origin"
)

const connectLong = `Joins an application that knows nothing of Redoubt to an edge: dials out, and hands what comes down to the application on this machine.
It opens no listening socket.

  redoubt connect --to http://127.0.0.1:3000 --join TOKEN      the first time, with a token of ` + "`redoubt edge invite`" + `
  redoubt connect --to http://127.0.0.1:3000                   from then on; its credential renews itself

docs/connect.md says more. It ends, after the requests under way, on SIGTERM.`

// connecting is what the flags of connect say.
type connecting struct {
	to, join, credential, host string
	edges                      []string
	links                      int
	remote, foreign, json      bool
}

func connectCommand() *cobra.Command {
	var f connecting
	c := &cobra.Command{
		Use: "connect", Short: "Join any HTTP application to an edge, without a listening port", Long: connectLong, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&f.to, "to", "", "the application: http://127.0.0.1:3000, or unix:///run/app.sock")
	c.Flags().StringVar(&f.join, "join", "", "enrol with this token first; - reads it from standard input")
	c.Flags().StringVar(&f.credential, "credential", "connector.json", "the file that keeps the connector's key and certificate")
	c.Flags().StringVar(&f.host, "host", "", "the Host that the application is told, instead of the one that was asked for")
	c.Flags().StringArrayVar(&f.edges, "edge", nil, "an edge's address, host:port, instead of those of the credential; repeat it for several")
	c.Flags().IntVar(&f.links, "links", 0, "connections to each edge (default 2)")
	c.Flags().BoolVar(&f.remote, "insecure-remote", false, "the application is on another machine, and the way there is trusted")
	c.Flags().BoolVar(&f.foreign, "assertion-header", true, "require the edge's word on each request and hand it on in Redoubt-Assertion")
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object per event")
	c.MarkFlagRequired("to")
	return c
}

func (f connecting) run(ctx context.Context, stdout, stderr io.Writer) error {
	target, err := url.Parse(f.to)
	if err != nil {
		return usageError{errors.New("--to is an address such as http://127.0.0.1:3000")}
	}
	credential, err := f.enrolled(ctx, os.Stdin)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	handler, err := f.handler(target, credential, log)
	if err != nil {
		return err
	}
	connector, err := perimeter.NewConnector(perimeter.ConnectorConfig{Credential: credential, Edges: f.edges, Links: f.links, Handler: handler, Log: log})
	if err != nil {
		return err
	}
	go func() {
		select {
		case <-connector.Ready():
			f.linked(stdout, credential)
		case <-ctx.Done():
		}
	}()
	return connector.Run(ctx)
}

func (f connecting) linked(stdout io.Writer, credential *enrol.Credential) {
	if f.json {
		printJSON(stdout, map[string]any{"event": "linked", "connector": credential.ID(), "application": credential.Application(), "edges": credential.Edges()})
		return
	}
	fmt.Fprintf(stdout, "Linked as %s: requests for %s arrive from the edge.\n", credential.ID(), credential.Application())
}

// maxJoin bounds a token that is read.
const maxJoin = 16 << 10

// enrolled is the connector's credential: a new one, or the one that is kept.
func (f connecting) enrolled(ctx context.Context, stdin io.Reader) (*enrol.Credential, error) {
	token := f.join
	if token == "-" {
		if _, err := fmt.Fscan(io.LimitReader(stdin, maxJoin), &token); err != nil {
			return nil, usageError{errors.New("--join -: no token is on standard input")}
		}
	}
	if token != "" {
		c, err := enrol.Join(ctx, token, f.credential)
		if err != nil {
			return nil, hinted{err, "ask for another with `redoubt edge invite`: a token is good once, for 15 minutes"}
		}
		return c, nil
	}
	c, err := enrol.Load(f.credential)
	if err != nil {
		return nil, hinted{err, "enrol first, with --join and a token of `redoubt edge invite`"}
	}
	return c, nil
}

// handler believes the edge, and asks the application.
func (f connecting) handler(target *url.URL, credential *enrol.Credential, log *slog.Logger) (http.Handler, error) {
	verifier, err := perimeter.NewVerifier(perimeter.VerifierConfig{Keys: credential.Keys, Audience: credential.Application(), Refuse: f.refuse(log), Foreign: f.foreign})
	if err != nil {
		return nil, err
	}
	forward, err := origin.New(origin.Config{Target: target, Host: f.host, InsecureRemote: f.remote, Log: log,
		Visitor: func(ctx context.Context) (origin.Visitor, bool) {
			v, ok := perimeter.From(ctx)
			return origin.Visitor{Client: v.ClientIP, Scheme: v.Scheme, Host: v.Host, ID: v.RequestID}, ok
		}})
	if err != nil {
		return nil, usageError{err}
	}
	return verifier.Handler(forward), nil
}

// refuse answers what the edge does not vouch for, as problem details (RFC 9457), and tells the operator why: mostly that edge and
// connector were told different things about the header.
func (f connecting) refuse(log *slog.Logger) func(http.ResponseWriter, *http.Request, *layer.Refusal) {
	hint := "set assertion_header = true for this application in edge.toml, or connect with --assertion-header=false"
	if !f.foreign {
		hint = "join with an invitation of the edge that sends this"
	}
	return func(w http.ResponseWriter, r *http.Request, why *layer.Refusal) {
		id := ""
		if a, ok := link.From(r.Context()); ok {
			id = a.ID
		}
		log.Warn("request refused", "request", id, "error", why.Error(), "hint", hint)
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		json.NewEncoder(w).Encode(map[string]any{"type": "about:blank", "title": http.StatusText(http.StatusUnauthorized), "status": http.StatusUnauthorized, "detail": why.Public, "refused_by": why.By})
	}
}
