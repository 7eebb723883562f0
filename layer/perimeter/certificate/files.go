package certificate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Limits.
const (
	MaxPairs     = 256         // in one Config
	DefaultEvery = time.Second // between two looks at the files
)

// Config says which files hold the certificates.
type Config struct {
	// Pairs are the certificates and their keys. A client gets the one that names the host it asks for, and the first one if none does.
	// At least one is required.
	Pairs []Pair
	// Every is how often the files are looked at; zero means DefaultEvery. They are read, not only looked up, because the times of
	// files are too coarse to say whether they changed.
	Every time.Duration
	// Log receives what was loaded and what is wrong; nil discards it.
	Log *slog.Logger
}

// Files are certificates that lie in files, and follow them.
type Files struct {
	config  Config
	reading sync.Mutex // guards held
	held    []held
	current atomic.Pointer[shelf]
}

// held is what is in use of one pair of files, and the last thing that was wrong with them.
type held struct {
	pair    Pair
	content content
	cert    *tls.Certificate
	problem string
}

// Open checks the configuration, reads every file, and reports all problems at once. A certificate that has ended is not one of them:
// an edge that starts an hour late must still start, and serve the new one when it is there.
func Open(c Config) (*Files, error) {
	if c.Every == 0 {
		c.Every = DefaultEvery
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	f := &Files{config: c}
	problems := c.check()
	for _, p := range c.Pairs[:min(len(c.Pairs), MaxPairs)] {
		h, err := open(p)
		problems = append(problems, err)
		f.held = append(f.held, h)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("opening certificates: %w", err)
	}
	for _, h := range f.held {
		f.tell(h)
	}
	f.current.Store(newShelf(f.held))
	return f, nil
}

func (c Config) check() (problems []error) {
	if len(c.Pairs) == 0 || len(c.Pairs) > MaxPairs {
		problems = append(problems, fmt.Errorf("between 1 and %d certificates are needed", MaxPairs))
	}
	if c.Every < 0 {
		problems = append(problems, errors.New("the time between two looks is negative"))
	}
	for _, p := range c.Pairs {
		if p.Certificate == "" {
			problems = append(problems, errors.New("a certificate has no file"))
		}
	}
	return problems
}

func open(p Pair) (held, error) {
	if p.Certificate == "" {
		return held{}, nil // check has said so
	}
	content, err := p.read()
	if err != nil {
		return held{}, err
	}
	cert, err := parse(content)
	if err != nil {
		return held{}, fmt.Errorf("%s: %w", p.Certificate, err)
	}
	return held{pair: p, content: content, cert: cert}, nil
}

// tell says what is in use now.
func (f *Files) tell(h held) {
	log := f.config.Log.With("file", h.pair.Certificate, "hosts", names(h.cert.Leaf), "expires", h.cert.Leaf.NotAfter)
	if err := usable(h.cert, time.Now()); err != nil {
		log.Warn("certificate loaded, which browsers will refuse", "error", err.Error())
		return
	}
	log.Info("certificate loaded")
}

// Run follows the files until ctx ends.
func (f *Files) Run(ctx context.Context) {
	tick := time.NewTicker(f.config.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.Reload()
		}
	}
}

// Reload looks at the files now. What cannot be used is told once, and what is in use stays.
func (f *Files) Reload() {
	f.reading.Lock()
	defer f.reading.Unlock()
	changed := false
	for i := range f.held {
		changed = f.follow(&f.held[i]) || changed
	}
	if changed {
		f.current.Store(newShelf(f.held))
	}
}

// follow takes what the files hold now, if it differs and can be used.
func (f *Files) follow(h *held) bool {
	content, err := h.pair.read()
	if err == nil && content == h.content {
		f.settle(h, "")
		return false
	}
	var cert *tls.Certificate
	if err == nil {
		cert, err = parse(content)
	}
	if err == nil {
		err = usable(cert, time.Now())
	}
	if err != nil {
		f.settle(h, err.Error())
		return false
	}
	h.content, h.cert = content, cert
	f.settle(h, "")
	f.tell(*h)
	return true
}

// settle notes what is wrong with the files, and says so when it is new.
func (f *Files) settle(h *held, problem string) {
	if problem == h.problem {
		return
	}
	h.problem = problem
	if problem != "" {
		f.config.Log.Error("certificate not replaced: the old one stays in use", "file", h.pair.Certificate, "error", problem)
	}
}

// GetCertificate implements Source.
func (f *Files) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.current.Load().choose(hello), nil
}

// Expires implements Source.
func (f *Files) Expires() time.Time { return f.current.Load().expires }
