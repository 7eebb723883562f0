package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/internal/devedge"
	"github.com/redoubt-dev/redoubt/internal/devidp"
	"github.com/redoubt-dev/redoubt/internal/devmail"
	"github.com/redoubt-dev/redoubt/layer/perimeter/provision"
)

// ports are the addresses that up listens on. They are taken first, so that each part can be told where the others are.
type ports struct{ public, plain, provider, mail, mailbox net.Listener }

func (s *system) listen(context.Context) (err error) {
	if s.keys, err = provision.Open(s.dir.tls(), nil); err != nil {
		return err
	}
	if s.ports.public, err = s.port("--listen", s.flags.listen); err != nil {
		return err
	}
	if s.ports.plain, err = s.port("--listen-http", s.flags.listenHTTP); err != nil {
		return err
	}
	if s.ports.provider, err = s.providerPort(); err != nil {
		return err
	}
	if s.ports.mail, err = s.port("", "127.0.0.1:0"); err != nil {
		return err
	}
	if s.ports.mailbox, err = s.mailboxPort(); err != nil {
		return err
	}
	s.mailbox = browserAddress("127.0.0.1", s.ports.mailbox) + devmail.Path
	s.origin = browserAddress("localhost", s.ports.public)
	s.issuer = browserAddress("127.0.0.1", s.ports.provider)
	s.plainURL = "http://localhost:" + portOf(s.ports.plain)
	return nil
}

// port takes a port until the system stops.
func (s *system) port(flag, address string) (net.Listener, error) {
	l, err := takePort(flag, address)
	if err == nil {
		s.later(func(context.Context) error { l.Close(); return nil }) // no harm if its server has closed it
	}
	return l, err
}

// providerPort takes the provider's port of the last run, or the one beside the usual port of the edge, or else any. People are
// known by their issuer, which holds the port: fill moves them along if it had to change.
func (s *system) providerPort() (net.Listener, error) {
	wanted := []string{}
	if last, err := url.Parse(s.remembered.Issuer); err == nil && last.Host != "" {
		wanted = append(wanted, last.Host)
	}
	if _, port, _ := net.SplitHostPort(s.flags.listen); port == "8443" {
		wanted = append(wanted, "127.0.0.1:8444")
	}
	for _, address := range append(wanted, "127.0.0.1:0") {
		if l, err := s.port("", address); err == nil {
			return l, nil
		}
	}
	return nil, errors.New("no port of this machine is free for the identity provider")
}

// mailboxPort takes the port beside the usual ones, or any.
func (s *system) mailboxPort() (net.Listener, error) {
	if _, port, _ := net.SplitHostPort(s.flags.listen); port == "8443" {
		if l, err := s.port("", "127.0.0.1:8445"); err == nil {
			return l, nil
		}
	}
	return s.port("", "127.0.0.1:0")
}

// takePort listens on address, and says whose mistake it is if that does not work.
func takePort(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, hinted{fmt.Errorf("%s %s cannot be listened on: %w", flag, address, errors.Unwrap(err)), "choose another address with " + flag + ", or end the program that has it"}
	}
	return l, nil
}

// browserAddress is how a browser names a listener of ours: by localhost, so that cookies of the application and of the provider,
// which is at 127.0.0.1, stay apart (cookies do not tell ports apart).
func browserAddress(host string, l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "https://" + net.JoinHostPort(host, port)
}

// logTo opens a log in the data directory. It begins anew when it has grown large.
func (s *system) logTo(name string) (*os.File, error) {
	path := s.dir.log(name)
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("putting a long log aside: %w", err)
		}
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

const maxLog = 16 << 20

func (s *system) startEdge(ctx context.Context) error {
	log, err := s.logTo("edge")
	if err != nil {
		return err
	}
	s.edge, err = devedge.New(devedge.Config{Folder: s.dir.edge(), Application: s.app.Name, Origin: s.origin, Policy: s.flags.policy, GetCertificate: s.keys.GetCertificate,
		Access: log, Log: slog.New(slog.NewJSONHandler(log, nil))})
	if err != nil {
		return err
	}
	s.background(func() error { return s.edge.Serve(context.WithoutCancel(ctx), s.ports.public, s.ports.plain) })
	s.later(func(ctx context.Context) error { defer log.Close(); return s.edge.Shutdown(ctx) })
	s.tell.step("edge", s.origin+", TLS by the authority in "+s.keys.CAFile)
	return nil
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// background runs a part and reports if it ends with an error.
func (s *system) background(run func() error) {
	go func() {
		if err := run(); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	}()
}

func (s *system) startProvider(ctx context.Context) error {
	ca, err := os.ReadFile(s.keys.CAFile)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	// It tells the application of sign-outs, through the edge as everybody does.
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, IdleConnTimeout: time.Minute}}
	provider, err := devidp.New(devidp.Config{Issuer: s.issuer, People: devPeople(), HTTP: client, Clients: []devidp.Client{{
		ID: s.app.Name, BackchannelLogoutURI: s.origin + redoubt.LogoutPath, Secret: s.secrets["client-secret"], RedirectURIs: []string{s.origin + redoubt.CallbackPath}, PostLogoutRedirectURIs: []string{s.origin + redoubt.SignedOutPath},
	}}})
	if err != nil {
		return err
	}
	server := &http.Server{Handler: provider, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: s.keys.GetCertificate}}
	s.background(func() error { return server.ServeTLS(s.ports.provider, "", "") })
	s.later(server.Shutdown)
	s.tell.step("sign-on", s.issuer+", for development: anyone can become anyone")
	return nil
}

// startMail catches the application's mail in this process, and shows it on a port of its own: not behind the edge, which knows one
// application and no other door, and not in the application's process, which in a release is the same program.
func (s *system) startMail(context.Context) error {
	catcher := &devmail.Catcher{}
	server := &http.Server{Handler: catcher, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: s.keys.GetCertificate}}
	s.background(func() error { return catcher.Serve(s.ports.mail) })
	s.background(func() error { return server.ServeTLS(s.ports.mailbox, "", "") })
	s.later(server.Shutdown)
	s.tell.step("mail", s.mailbox+", where it is caught")
	return nil
}

// applicationOrder is what the application's process is told.
func (s *system) applicationOrder() (order, error) {
	ca, err := os.ReadFile(s.keys.CAFile)
	if err != nil {
		return order{}, err
	}
	o := order{
		Origin: s.origin, Audience: s.app.Name,
		Database:         s.database("redoubt_app", s.secrets["redoubt-app"]),
		IdentityDatabase: s.database("redoubt_identity", s.secrets["redoubt-identity"]),
		DeliveryDatabase: s.database("redoubt_webhook", s.secrets["redoubt-webhook"]),
		ClaimsKey:        []byte(s.secrets["claims-key"]), TokenKey: []byte(s.secrets["token-key"]),
		Issuer: s.issuer, ClientID: s.app.Name, ClientSecret: s.secrets["client-secret"], ProviderCA: ca, ProviderName: "Your development sign-on",
		CreatorGroup: creatorGroup, MailServer: s.ports.mail.Addr().String(),
		MachineIssuers: s.flags.machineIssuers, Files: s.dir.files(), Bucket: s.flags.bucket, Spool: s.dir.spool(),
	}
	o.Credential, err = devedge.Credential(s.dir.edge(), s.app.Name, s.ports.public.Addr().String())
	return o, err
}
