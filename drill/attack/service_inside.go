package attack

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

func serviceInside() Attack {
	return Attack{
		Name: "service-inside", Threat: "T38", Group: "input",
		Title:  "Bob's post leads to an address of the copy's own machine, and the copy asks the service there what it is",
		Expect: []string{"input/address", "input/egress", "input/dial"},
		Run: func(ctx context.Context, s *Scene) (bool, error) {
			inside, err := listenInside()
			if err != nil {
				return false, err
			}
			defer inside.Close()
			bob := s.Program("bob")
			for _, host := range []string{"127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"} { // a person has many ways to say it
				address := fmt.Sprintf("https://%s:%d/latest/meta-data/", host, inside.Addr().(*net.TCPAddr).Port)
				a, err := bob.Ask(ctx, http.MethodPost, "/api/v1/posts", map[string]any{"body": "Look: <" + address + ">"})
				if err != nil {
					return false, err
				}
				var post struct{ ID string }
				if a.Status == http.StatusCreated && a.JSON(&post) == nil {
					bob.Ask(ctx, http.MethodDelete, "/api/v1/posts/"+post.ID, nil)
				}
				if inside.asked.Load() { // a post is answered when its link has been asked
					s.Note("the service inside", "is asked by way of "+host, "answers")
					return true, nil
				}
			}
			return false, nil
		},
	}
}

// insider is a service of the copy's machine that only the machine is to reach. It speaks TLS, so far as to know that it was asked.
type insider struct {
	net.Listener
	asked atomic.Bool
}

var errNoCertificate = errors.New("it has none to show")

func listenInside() (*insider, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening a service inside: %w", err)
	}
	in := &insider{Listener: l}
	config := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		in.asked.Store(true)
		return nil, errNoCertificate
	}}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // it was closed
			}
			conn.SetDeadline(time.Now().Add(time.Second))
			tls.Server(conn, config).Handshake() // fails, when it has asked
			conn.Close()
		}
	}()
	return in, nil
}
