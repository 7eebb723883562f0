package perimeter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// An edge is one that links are kept to.
type edge struct {
	address string
	leave   context.CancelFunc

	mu      sync.Mutex
	up      []*link.Conn  // accepted, and not draining
	changed chan struct{} // closed when up grows
	problem complaint     // of the last attempt
}

// A complaint is remembered, so that the same one is logged once in a while only.
type complaint struct {
	text string
	told time.Time
}

// fresh takes a complaint, and reports whether it is to be logged.
func (c *complaint) fresh(text string) bool {
	if c.text == text && time.Since(c.told) < repeatLog {
		return false
	}
	c.text, c.told = text, time.Now()
	return true
}

func (e *edge) add(l *link.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l.Err() == nil { // else it has been removed already
		e.up = append(e.up, l)
	}
	e.problem = complaint{}
	close(e.changed)
	e.changed = make(chan struct{})
}

func (e *edge) remove(l *link.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.up = slices.DeleteFunc(e.up, func(x *link.Conn) bool { return x == l })
}

// reached waits until some link to the edge is up.
func (e *edge) reached(ctx context.Context) bool {
	for {
		e.mu.Lock()
		up, changed := len(e.up) > 0, e.changed
		e.mu.Unlock()
		if up {
			return ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		}
	}
}

// A keeper keeps one link up. While there is none to the edge at all, its scout alone tries: an edge that comes back meets one attempt
// of each connector, and the other links only after it has taken that one.
type keeper struct {
	*Connector
	edge     *edge
	scout    bool
	cut      *errorList
	draining []*tunnel
	all      sync.WaitGroup
}

// run keeps the link, and opens its successor before it lets it go when the certificate was renewed: no moment is without a link, and
// no request is cut (SYSTEM P3, P6).
func (k *keeper) run(ctx context.Context) {
	defer k.all.Wait()
	var live *tunnel
	wait := backoff{}
	for ctx.Err() == nil {
		renewed := k.renewal()
		if live == nil || live.pin != k.config.Credential.Pin() {
			next, err := k.open(ctx)
			if err != nil {
				k.complain(ctx, err)
				wait.sleep(ctx, err)
				continue
			}
			k.retire(live)
			live = next
		}
		select {
		case <-renewed:
		case <-live.done:
			k.complain(ctx, live.err)
			if time.Since(live.began) >= SteadyAfter {
				wait = backoff{}
			}
			wait.sleep(ctx, errLost)
			live = nil
		case <-ctx.Done():
		}
	}
	if live != nil {
		<-live.done
		k.note(live)
	}
}

var errLost = errors.New("the link is lost")

// note remembers that requests were cut, if they were.
func (k *keeper) note(t *tunnel) {
	if t.cut {
		k.cut.add(t.err)
	}
}

// retire lets a link finish what it carries, however long that takes, while its successor takes what is new. The edge ends it with the
// certificate that it was opened with.
func (k *keeper) retire(t *tunnel) {
	if t == nil {
		return
	}
	k.edge.remove(t.link)
	t.link.GoAway()
	k.draining = slices.DeleteFunc(append(k.draining, t), func(t *tunnel) bool {
		select {
		case <-t.done:
			return true
		default:
			return false
		}
	})
	if len(k.draining) > maxDraining {
		k.draining[0].conn.Close()
	}
	k.all.Go(func() {
		<-t.done
		k.note(t)
	})
}

// complain logs a problem, unless it is still the same.
func (k *keeper) complain(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	k.edge.mu.Lock()
	fresh := k.edge.problem.fresh(err.Error())
	k.edge.mu.Unlock()
	if fresh {
		k.config.Log.Warn("link down", "edge", k.edge.address, "error", err.Error())
	}
}

// A backoff waits longer after each failure, by chance, so that many connectors do not return in step. An edge that cannot be reached,
// or with whom there is no agreement on the time, may be back at any moment, and asking it costs it nothing or little: it is asked every
// QuickBackoff at the latest, for as long as it takes, so that the cause of a failure outlives itself by less than two seconds. One that
// refuses has most often revoked the connector; it is given RefusedAfter to change its mind, and then asked seldom.
type backoff struct {
	limit   time.Duration
	refused time.Time // since when
}

func (b *backoff) sleep(ctx context.Context, err error) {
	select {
	case <-ctx.Done():
	case <-time.After(rand.N(b.next(err, time.Now()))):
	}
}

func (b *backoff) next(err error, now time.Time) time.Duration {
	limit := QuickBackoff
	if !errors.Is(err, errRefused) && !errors.Is(err, enrol.ErrRefused) {
		b.refused = time.Time{}
	} else if b.refused.IsZero() {
		b.refused = now
	} else if now.Sub(b.refused) >= RefusedAfter {
		limit = MaxBackoff
	}
	b.limit = min(max(2*b.limit, MinBackoff), limit)
	return b.limit
}

// errRefused means that the edge was there, and would not have the link.
var errRefused = errors.New("the edge did not accept the link: the connector may have been revoked, or its certificate ended")

// A tunnel is a link while it lives.
type tunnel struct {
	conn  *tls.Conn
	link  *link.Conn
	pin   enrol.Pin // of the certificate that it was opened with
	began time.Time
	done  chan struct{}
	err   error // valid once done is closed: why it ended; nil if it was drained
	cut   bool  // likewise: requests were cut when the connector stopped
}

// open makes a link, and returns it once the edge has accepted it. In TLS 1.3 the handshake ends for a client before its certificate
// is judged; what proves it is the edge's answer to the first message.
func (k *keeper) open(ctx context.Context) (*tunnel, error) {
	if !k.scout && !k.edge.reached(ctx) {
		return nil, ctx.Err()
	}
	pin := k.config.Credential.Pin()
	conn, err := k.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("dialling edge: %w", err)
	}
	key, err := link.ExportKey(conn.ConnectionState())
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("opening link: %w", err)
	}
	t := &tunnel{conn: conn, pin: pin, began: time.Now(), done: make(chan struct{})}
	accepted, established := make(chan struct{}), make(chan struct{})
	var once sync.Once
	config := link.Config{Budget: k.config.Budget, Log: k.config.Log, Control: func(_ *link.Conn, message []byte) {
		k.heard(message)
		once.Do(func() { close(accepted) })
	}}
	k.all.Go(func() {
		defer close(t.done)
		t.err = link.Serve(ctx, conn, key, k.config.Handler, k.drain, config, func(l *link.Conn) {
			t.link = l
			close(established)
		})
		t.cut = ctx.Err() != nil && t.err != nil
		k.edge.remove(t.link)
	})
	<-established
	if err := k.await(ctx, t, accepted); err != nil {
		return nil, err
	}
	return t, nil
}

func (k *keeper) await(ctx context.Context, t *tunnel, accepted <-chan struct{}) error {
	message, err := k.config.Credential.Renewal()
	if err == nil {
		err = t.link.Control(message)
	}
	limit := time.NewTimer(AcceptLimit)
	defer limit.Stop()
	if err == nil {
		select {
		case <-accepted:
			k.edge.add(t.link)
			k.config.Log.Info("link up", "edge", k.edge.address, "link", t.link.ID())
			k.isReady.Do(func() { close(k.ready) })
			return nil
		case <-t.done:
			err = errRefused
		case <-limit.C:
			err = errors.New("the edge does not answer")
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	t.conn.Close()
	<-t.done
	if !errors.Is(err, errRefused) {
		return fmt.Errorf("opening link: %w", err)
	}
	return fmt.Errorf("%w (%w)", err, t.err)
}

// dial returns a connection to the edge. While attempts hang, as in a network that swallows packets, a further one is made every
// DialAgain: the first that comes through is taken, soon after the network is back and not when TCP would try again. Names are resolved
// by each attempt anew.
func (k *keeper) dial(ctx context.Context) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, DialLimit)
	defer cancel()
	d := dialling{attempt: func() (*tls.Conn, error) { return k.attempt(ctx) }, results: make(chan dialled, MaxDials)}
	again := time.NewTicker(DialAgain)
	defer again.Stop()
	d.begin()
	for {
		select {
		case <-again.C:
			d.begin()
		case r := <-d.results:
			d.pending--
			if r.err == nil || d.pending == 0 {
				d.abandon()
				return r.conn, r.err
			}
		}
	}
}

// A dialling is made of attempts, of which one is wanted.
type dialling struct {
	attempt func() (*tls.Conn, error)
	results chan dialled
	pending int
}

type dialled struct {
	conn *tls.Conn
	err  error
}

func (d *dialling) begin() {
	if d.pending == MaxDials {
		return
	}
	d.pending++
	go func() {
		conn, err := d.attempt()
		d.results <- dialled{conn, err}
	}()
}

// abandon closes what comes through too late.
func (d *dialling) abandon() {
	go func() {
		for range d.pending {
			if late := <-d.results; late.conn != nil {
				late.conn.Close()
			}
		}
	}()
}

func (k *keeper) attempt(ctx context.Context) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, DialTimeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", k.edge.address)
	if err != nil {
		return nil, err
	}
	config := k.config.Credential.TLS()
	config.ServerName, _, _ = net.SplitHostPort(k.edge.address) // for those on the way who choose by it
	conn := tls.Client(link.Cork(raw), config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}
