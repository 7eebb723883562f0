package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"time"
)

// A Config says which server takes our mail.
type Config struct {
	Address string // host:port of the submission server; required
	From    string // "Commons <commons@example.com>"; required
	// Implicit speaks TLS from the first byte (RFC 8314 section 3.3), usually on port 465; zero asks for STARTTLS, and goes no further
	// without it.
	Implicit bool
	TLS      *tls.Config // the authorities to believe; nil for the system's
	Username string      // empty to submit without signing in
	Password string
	Timeout  time.Duration // for a message, all attempts together; zero is 10 seconds, at most a minute
	// InsecureLoopback speaks without TLS, to a server on this machine alone: a loopback address in numbers.
	InsecureLoopback bool
}

// An SMTP sends by one server. It may be used concurrently; each message has a connection of its own.
type SMTP struct {
	cfg  Config
	from mail.Address
	host string
}

const (
	maxTimeout = time.Minute
	attempts   = 3
	pause      = 200 * time.Millisecond // before the second attempt; twice that before the third
	maxReplies = 64 << 10               // bytes of a server, in one conversation
)

// New checks cfg, naming every fault. It does not ask the server anything.
func New(cfg Config) (*SMTP, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	var faults []error
	host, _, err := net.SplitHostPort(cfg.Address)
	if err != nil || host == "" {
		faults = append(faults, errors.New("mail: Address is not host:port"))
	}
	from, err := mail.ParseAddress(cfg.From)
	if err != nil || !plainAddress(from.Address) {
		faults = append(faults, errors.New("mail: From is no address"))
	}
	if cfg.Timeout < 0 || cfg.Timeout > maxTimeout {
		faults = append(faults, errors.New("mail: Timeout is at most a minute"))
	}
	if (cfg.Username == "") != (cfg.Password == "") {
		faults = append(faults, errors.New("mail: Username and Password come together"))
	}
	if ip := net.ParseIP(host); cfg.InsecureLoopback && (ip == nil || !ip.IsLoopback()) {
		faults = append(faults, errors.New("mail: InsecureLoopback is for a loopback address in numbers"))
	}
	if cfg.InsecureLoopback && (cfg.Implicit || cfg.Username != "") {
		faults = append(faults, errors.New("mail: InsecureLoopback knows neither TLS nor a password"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &SMTP{cfg: cfg, from: *from, host: host}, nil
}

// Send hands m to the server. A server that is busy, slow or gone before it has read the message is asked up to three times in all,
// within the Timeout; one that refuses it is not asked again. A server that goes silent once it has the whole message may have
// taken it, and is not asked again either: better one mail too few than two.
func (s *SMTP) Send(ctx context.Context, m Message) error {
	text, err := compose(s.from, m, time.Now())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	for i := 1; ; i++ {
		final, err := s.attempt(ctx, m.To, text)
		if err == nil || final || i == attempts || !wait(ctx, pause<<(i-1)) {
			return quiet(err)
		}
	}
}

// wait reports whether there is time left after d.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// quiet keeps what a server said out of logs: it may repeat the address. The code says why.
func quiet(err error) error {
	var said *textproto.Error
	if errors.As(err, &said) {
		return fmt.Errorf("sending mail: the server answers %d", said.Code)
	}
	if err != nil {
		return fmt.Errorf("sending mail: %w", err)
	}
	return nil
}

// attempt has one conversation. final says that another one would be no better, or might send the message twice.
func (s *SMTP) attempt(ctx context.Context, to string, text []byte) (final bool, err error) {
	client, err := s.connect(ctx)
	if err != nil {
		return permanent(err), err
	}
	defer client.Close()
	if err := s.introduce(client); err != nil {
		return permanent(err), err
	}
	if err := client.Mail(s.from.Address); err != nil {
		return permanent(err), err
	}
	if err := client.Rcpt(to); err != nil {
		return permanent(err), err
	}
	body, err := client.Data()
	if err != nil {
		return permanent(err), err
	}
	if _, err := body.Write(text); err != nil {
		return false, err // it has not seen the end, and so has taken nothing: RFC 5321 section 4.1.1.4
	}
	if err := body.Close(); err != nil {
		return permanent(err) || !temporary(err), err
	}
	client.Quit() // it has the message; how it says goodbye changes nothing
	return true, nil
}

// permanent reports whether the server has said no (5yz), or cannot be spoken to safely.
func permanent(err error) bool {
	var said *textproto.Error
	return errors.As(err, &said) && said.Code >= 500 || errors.Is(err, ErrNoTLS) || errors.As(err, new(*tls.CertificateVerificationError))
}

func temporary(err error) bool {
	var said *textproto.Error
	return errors.As(err, &said) && said.Code < 500
}

// ErrNoTLS is returned by Send for a server that does not speak TLS: nothing is sent in the clear (RFC 8314 section 4.1).
var ErrNoTLS = errors.New("the server offers no TLS")

func (s *SMTP) connect(ctx context.Context) (*smtp.Client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.cfg.Address)
	if err != nil {
		return nil, err
	}
	if end, ok := ctx.Deadline(); ok {
		conn.SetDeadline(end)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) }) // also when the caller gives up earlier
	conn = &bounded{Conn: conn, left: maxReplies, stop: stop}
	if s.cfg.Implicit {
		secured := tls.Client(conn, s.tls())
		if err := secured.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, err
		}
		conn = secured
	}
	client, err := smtp.NewClient(conn, s.host)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return client, nil
}

func (s *SMTP) tls() *tls.Config {
	cfg := s.cfg.TLS.Clone()
	if cfg == nil {
		cfg = &tls.Config{}
	}
	cfg.MinVersion = tls.VersionTLS13
	cfg.ServerName = s.host
	return cfg
}

// introduce secures the conversation, and only then says who we are.
func (s *SMTP) introduce(client *smtp.Client) error {
	if err := client.Hello("localhost"); err != nil {
		return err
	}
	if !s.cfg.Implicit && !s.cfg.InsecureLoopback {
		if offered, _ := client.Extension("STARTTLS"); !offered {
			return ErrNoTLS
		}
		if err := client.StartTLS(s.tls()); err != nil {
			return err
		}
	}
	if s.cfg.Username == "" {
		return nil
	}
	return client.Auth(smtp.PlainAuth("", s.cfg.Username, s.cfg.Password, s.host))
}

// bounded is a connection from which only so much is read.
type bounded struct {
	net.Conn
	left int
	stop func() bool
}

var errTalkative = errors.New("the server says more than fits")

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTalkative
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// Close implements io.Closer.
func (b *bounded) Close() error {
	b.stop()
	return b.Conn.Close()
}
