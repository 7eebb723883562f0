package command

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/redoubt-dev/redoubt/layer/perimeter/edge"
	"github.com/redoubt-dev/redoubt/layer/perimeter/edge/http3"
	"github.com/redoubt-dev/redoubt/layer/perimeter/state"
)

const edgeLong = `Serves the applications of one deployment to the public: the only part that listens. Applications dial out to it, by
` + "`redoubt connect`" + ` or from within, and nobody's request reaches one unless a policy says so. docs/edge.md has an edge.toml to
begin with.

Prints one JSON object per request on standard output; what concerns the operator goes to standard error. It ends, after the
requests under way, on SIGTERM.`

func edgeCommand() *cobra.Command {
	var config string
	var check bool
	c := &cobra.Command{
		Use: "edge", Short: "Serve applications to the public, each behind its access policy", Long: edgeLong, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			file, err := readEdgeFile(config)
			if err != nil {
				return err
			}
			if check {
				return checkEdge(c, file)
			}
			return runEdge(c.Context(), file, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.PersistentFlags().StringVar(&config, "config", "edge.toml", "the configuration")
	c.MarkPersistentFlagFilename("config", "toml")
	c.Flags().BoolVar(&check, "check", false, "read and check everything, and start nothing")
	c.AddCommand(edgeExplainCommand(&config), edgeInviteCommand(&config), edgeConnectorsCommand(&config), edgeRevokeCommand(&config),
		edgeRotateCommand(&config), edgeTokenCommand(), edgeExportCommand(&config))
	for _, sub := range c.Commands() {
		wrapArgs(sub)
	}
	return c
}

// checkEdge reads what a start would read, and makes nothing.
func checkEdge(c *cobra.Command, file *edgeFile) error {
	_, providerErr := file.providers(c.Context())
	_, policyErr := file.policies()
	_, mailErr := file.mailer(c.Context())
	certificateErr := file.checkCertificates()
	if err := errors.Join(policyErr, providerErr, mailErr, certificateErr); err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "%s is good. Applications: %d. Providers: %d. Services: %d.\n", c.Flag("config").Value, len(file.Applications), len(file.Providers), len(file.Services))
	return nil
}

// runEdge serves until ctx ends.
func runEdge(ctx context.Context, file *edgeFile, stdout, stderr io.Writer) error {
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	o, err := openEdge(ctx, file, stdout, log)
	if err != nil {
		return err
	}
	listeners, err := file.listen()
	if err != nil {
		return err
	}
	defer listeners.close()
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop() // after the last request
	for _, run := range o.background {
		go run(background)
	}
	failed := make(chan error, 2)
	if listeners.operator != nil {
		operator := operatorServer(o.edge, log)
		go func() { failed <- operator.Serve(listeners.operator) }()
		defer operator.Close()
	}
	if listeners.quic != nil {
		quic, err := file.http3(o, log)
		if err != nil {
			return err
		}
		go func() { failed <- quic.Serve(ctx, listeners.quic) }()
	}
	served := make(chan error, 1)
	serving, end := context.WithCancel(ctx)
	defer end()
	go func() { served <- o.edge.Serve(serving, listeners.public, listeners.plain) }()
	announce(stdout, listeners)
	select {
	case err = <-served:
	case err = <-failed:
		if end(); ctx.Err() == nil && err != nil {
			return errors.Join(fmt.Errorf("serving: %w", err), <-served)
		}
		err = <-served
	}
	return err
}

// http3 is the edge behind QUIC. Its secret is the edges' own, so that clients of one that was killed notice at once when it is back.
func (e *edgeFile) http3(o *openedEdge, log *slog.Logger) (*http3.Server, error) {
	drawer, err := o.folder.Drawer("http3", 1)
	if err != nil {
		return nil, err
	}
	secret, err := drawer.Get("secret")
	if errors.Is(err, state.ErrNone) {
		fresh := make([]byte, 32)
		rand.Read(fresh) // never fails
		if err := drawer.Create("secret", fresh, time.Time{}); err != nil && !errors.Is(err, state.ErrExists) {
			return nil, err
		}
		secret, err = drawer.Get("secret")
	}
	if err != nil {
		return nil, err
	}
	return http3.New(http3.Config{Handler: o.edge.Handler(), GetCertificate: o.getCertificate, Secret: secret, MaxConns: e.Limits.Connections,
		MaxPerAddress: e.Limits.PerAddress, Log: log})
}

// operatorServer serves those who run the edge, on this machine alone.
func operatorServer(e *edge.Edge, log *slog.Logger) *http.Server {
	return &http.Server{Handler: e.Operator(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
}

// edgeListeners are the sockets of an edge; those that are not wanted are nil.
type edgeListeners struct {
	public, plain, operator net.Listener
	quic                    net.PacketConn
}

// close closes those that are open; there is no harm if their servers have done so.
func (l edgeListeners) close() {
	for _, x := range []net.Listener{l.public, l.plain, l.operator} {
		if x != nil {
			x.Close()
		}
	}
	if l.quic != nil {
		l.quic.Close()
	}
}

func (e *edgeFile) listen() (l edgeListeners, err error) {
	open := func(name, address string) (net.Listener, error) {
		if address == "" {
			return nil, nil
		}
		found, err := net.Listen("tcp", address)
		if err != nil {
			return nil, hinted{fmt.Errorf("%s %s cannot be listened on: %w", name, address, errors.Unwrap(err)), "end the program that has it, or choose another address; a port below 1024 needs a privilege"}
		}
		return found, nil
	}
	if l.public, err = open("listen", e.Listen); err == nil {
		if l.plain, err = open("listen_http", e.ListenHTTP); err == nil {
			l.operator, err = open("operator", e.Operator)
		}
	}
	if err == nil && e.HTTP3 {
		l.quic, err = net.ListenPacket("udp", l.public.Addr().String())
	}
	if err != nil {
		l.close()
	}
	return l, err
}

// announce says in one line that requests are taken, and where.
func announce(stdout io.Writer, l edgeListeners) {
	said := map[string]string{"event": "listening", "public": l.public.Addr().String()}
	if l.plain != nil {
		said["plain"] = l.plain.Addr().String()
	}
	if l.operator != nil {
		said["operator"] = l.operator.Addr().String()
	}
	line, err := json.Marshal(said)
	if err == nil {
		stdout.Write(append(line, '\n'))
	}
}

// serviceHash reads the hash of a service's token; the file has been checked.
func (s edgeService) hash() (hash [sha256.Size]byte) {
	hex.Decode(hash[:], []byte(s.Hash))
	return hash
}

// exists reports whether a file is there, for what is switched on by one.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
