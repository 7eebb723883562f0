package command

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	netmail "net/mail"
	"os"
	"time"

	"github.com/spf13/cobra"

	"crypto/x509"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/backbone/mail"
	"github.com/redoubt-dev/redoubt/layer/identity"
	"github.com/redoubt-dev/redoubt/layer/identity/signon"
	"github.com/redoubt-dev/redoubt/layer/input/egress"
	"github.com/redoubt-dev/redoubt/layer/input/file/store"
	"github.com/redoubt-dev/redoubt/layer/perimeter"
	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/rls"
)

// An order is what the application's process is given on its standard input: everything it may know, and nothing more. It
// holds secrets, so it is neither an argument nor in the environment, which other processes can read.
type order struct {
	Origin   string `json:"origin"`
	Audience string `json:"audience"`

	Database         string `json:"database"`          // as redoubt_app
	IdentityDatabase string `json:"identity_database"` // as redoubt_identity
	DeliveryDatabase string `json:"delivery_database"` // as redoubt_webhook; empty leaves out what endpoints present their credential for
	ClaimsKey        []byte `json:"claims_key"`
	TokenKey         []byte `json:"token_key"`

	Credential *enrol.Credential `json:"credential"` // of the connector: its key, its edges, whose word it believes

	Issuer       string `json:"issuer"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	ProviderCA   []byte `json:"provider_ca"` // PEM; empty for the system's authorities
	ProviderName string `json:"provider_name"`

	CreatorGroup string `json:"creator_group"` // of the provider's, whose people may make organizations; empty for nobody
	MailServer   string `json:"mail_server"`   // on this machine alone, where up catches mail; empty sends none

	MachineIssuers []string `json:"machine_issuers"` // whose tokens machines exchange

	Files  string  `json:"files"`  // the folder that keeps uploaded files
	Bucket *bucket `json:"bucket"` // keeps them instead; null for the folder
	Spool  string  `json:"spool"`  // the folder in which one lies while it is received
}

// machines says whom organizations may trust, and how a token names one of them.
func machines(origin string, issuers []string) identity.Machines {
	return identity.Machines{Issuers: issuers, Audience: origin + "/organizations/"}
}

// maxOrder bounds what serve reads.
const maxOrder = 1 << 20

func (o order) provider() signon.Config {
	cfg := signon.Config{Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: o.ClientSecret, RedirectURL: o.Origin + redoubt.CallbackPath, Refresh: true}
	if block, _ := pem.Decode(o.ProviderCA); block != nil {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(o.ProviderCA)
		cfg.HTTP = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, MaxIdleConns: 4, IdleConnTimeout: time.Minute,
			ResponseHeaderTimeout: 10 * time.Second, ForceAttemptHTTP2: true,
		}}
	}
	return cfg
}

// sender is who takes the application's mail; nil if nobody does.
func (o order) sender(name string) (mail.Sender, error) {
	if o.MailServer == "" {
		return nil, nil
	}
	s, err := mail.New(mail.Config{Address: o.MailServer, From: (&netmail.Address{Name: name, Address: "no-reply@localhost.localdomain"}).String(), InsecureLoopback: true})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func serveCommand(app redoubt.App) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Serve the application behind an edge (started by up)",
		Long: "Reads its orders as one JSON value from standard input, connects out to the edge and serves what comes down. It opens no " +
			"listening socket. It ends, after the requests under way, on SIGTERM or when standard input closes.",
		RunE: func(c *cobra.Command, _ []string) error {
			return serve(c.Context(), app, c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
}

func serve(ctx context.Context, app redoubt.App, stdin io.Reader, stdout, stderr io.Writer) error {
	var o order
	dec := json.NewDecoder(io.LimitReader(stdin, maxOrder))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&o); err != nil {
		return hinted{errors.New("the orders on standard input are not readable"), "`redoubt up` starts this command; run that"}
	}
	if o.Credential == nil {
		return hinted{errors.New("the orders on standard input hold no credential for the edge"), "`redoubt up` starts this command; run that"}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if stdin == os.Stdin {
		go func() { // whoever gave the orders holds this open; when they are gone, so are we
			io.Copy(io.Discard, stdin)
			cancel()
		}()
	}
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	server, done, err := o.open(ctx, app, log)
	if err != nil {
		return err
	}
	defer done()
	connector, err := perimeter.NewConnector(perimeter.ConnectorConfig{Credential: o.Credential, Handler: server, Log: log})
	if err != nil {
		return err
	}
	go func() {
		select {
		case <-connector.Ready():
			fmt.Fprintln(stdout, `{"event":"linked"}`)
		case <-ctx.Done():
		}
	}()
	return connector.Run(ctx)
}

// open makes the application inside its layers, and what closes it again.
func (o order) open(ctx context.Context, app redoubt.App, log *slog.Logger) (*redoubt.Server, func(), error) {
	db, ids, done, err := o.stores(ctx, app)
	if err != nil {
		return nil, nil, err
	}
	hooks, closeHooks, err := o.deliveries(ctx)
	if err != nil {
		done()
		return nil, nil, err
	}
	closeStores := done
	done = func() { closeHooks(); closeStores() }
	sender, err := o.sender(app.Name)
	if err != nil {
		done()
		return nil, nil, err
	}
	files, links, err := o.outside()
	if err != nil {
		done()
		return nil, nil, err
	}
	server, err := redoubt.New(redoubt.Config{
		App: app, Files: files, Spool: o.Spool, Links: links, Origin: o.Origin, DB: db, Identity: ids, Deliveries: hooks, ProviderTag: o.ProviderName, ClaimsKey: o.ClaimsKey, TokenKey: o.TokenKey,
		Edge: o.Credential.Keys, Audience: o.Audience, Log: log, Mail: sender,
	})
	if err != nil {
		done()
		return nil, nil, err
	}
	return server, done, nil
}

// outside opens what lies beside the database: what keeps files, and the way to addresses that people give.
func (o order) outside() (store.Store, *egress.Client, error) {
	files, err := o.files()
	if err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(o.Spool, 0o700); err != nil {
		return nil, nil, fmt.Errorf("making the folder of what is received: %w", err)
	}
	links, err := egress.New(egress.Config{})
	return files, links, err
}

// deliveries opens the database for what presents an endpoint's credential, if there is a password for it.
func (o order) deliveries(ctx context.Context) (*rls.DB, func(), error) {
	if o.DeliveryDatabase == "" {
		return nil, func() {}, nil
	}
	db, err := rls.Open(ctx, rls.Config{Connection: o.DeliveryDatabase, MaxConns: 8})
	if err != nil {
		return nil, nil, err
	}
	return db, db.Close, nil
}

func (o order) stores(ctx context.Context, app redoubt.App) (*rls.DB, *identity.Service, func(), error) {
	provider, err := signon.New(o.provider())
	if err != nil {
		return nil, nil, nil, err
	}
	db, err := rls.Open(ctx, rls.Config{Connection: o.Database})
	if err != nil {
		return nil, nil, nil, err
	}
	ids, err := identity.Open(ctx, identity.Config{Connection: o.IdentityDatabase, Providers: []identity.Provider{{SignOn: provider}}, Key: o.ClaimsKey, Scopes: app.Scopes,
		Machines: machines(o.Origin, o.MachineIssuers), CreatorGroup: o.CreatorGroup})
	if err != nil {
		db.Close()
		return nil, nil, nil, err
	}
	return db, ids, func() { ids.Close(); db.Close() }, nil
}
