package edge

import (
	"crypto/tls"
	"sync"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter/link"
)

// welcome makes a link of a connector's connection and keeps it until it dies, at the latest with its certificate.
func (e *Edge) welcome(conn *tls.Conn) {
	state := conn.ConnectionState()
	peer, err := e.config.Authority.Peer(state)
	if err != nil {
		e.log.Warn("connector refused", "address", conn.RemoteAddr().String(), "error", err.Error())
		conn.Close()
		return
	}
	pool := e.pools[peer.Application]
	key, err := link.ExportKey(state)
	if pool == nil || err != nil || e.closing.Load() {
		e.log.Warn("connector refused", "connector", peer.ID, "application", peer.Application, "known", pool != nil)
		conn.Close()
		return
	}
	m := &member{peer: peer}
	ready, ended := make(chan struct{}), make(chan struct{})
	messages := make(chan []byte, MaxControls)
	var once sync.Once
	m.conn = link.Accept(conn, key, link.Config{
		Budget: e.budget, MaxStreams: e.config.MaxInFlight, PingAfter: e.times.ping, PingTimeout: e.times.pong,
		Response: e.response(peer.Application), Log: e.log,
		Control: func(c *link.Conn, message []byte) {
			select {
			case messages <- message:
			default:
				go c.Close() // whoever asks faster than it is answered is no connector of ours
			}
		},
		Closed: func(_ *link.Conn, why error) {
			once.Do(func() {
				close(ended)
				go e.farewell(pool, m, ready, why)
			})
		},
	})
	go m.answer(e.config.Authority, messages, ended)
	go m.expire(ended)
	if !pool.add(m) || e.closing.Load() {
		pool.remove(m)
		close(ready)
		m.conn.Close()
		return
	}
	e.log.Info("link up", "connector", peer.ID, "application", peer.Application, "link", m.conn.ID(), "links", pool.count())
	close(ready)
}

// farewell comes after the welcome, however soon a link dies.
func (e *Edge) farewell(p *pool, m *member, ready <-chan struct{}, why error) {
	<-ready
	p.remove(m)
	reason := "it ended"
	if why != nil {
		reason = cut(why.Error())
	}
	e.log.Info("link down", "connector", m.peer.ID, "application", m.peer.Application, "link", m.conn.ID(), "links", p.count(), "reason", reason)
}

// answer answers a connector's messages, one after the other.
func (m *member) answer(authority Authority, messages <-chan []byte, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case message := <-messages:
			reply, err := authority.Control(m.peer, message)
			if err == nil {
				err = m.conn.Control(reply)
			}
			if err != nil {
				m.conn.Close()
				return
			}
		}
	}
}

// expire ends a link when its certificate does: a connector that could renew has opened another one by then (SYSTEM P3). The clock is
// read again and again, because somebody may set it.
func (m *member) expire(ended <-chan struct{}) {
	if m.peer.Expires.IsZero() {
		return
	}
	for {
		left := time.Until(m.peer.Expires.Round(0)) // the time of day, not the monotonic clock
		if left <= 0 {
			m.conn.Close()
			return
		}
		if !sleep(min(left, time.Minute), ended) {
			return
		}
	}
}

func sleep(d time.Duration, ended <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ended:
		return false
	}
}
