package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"syscall"
	"time"
)

// Superuser is the one role that a new cluster has.
const Superuser = "postgres"

// patience is how long a server may take to follow one signal before it gets a harder one.
const patience = 10 * time.Second

// A Cluster is a running server. It ends with Stop, by itself, or with this process.
type Cluster struct {
	server *child
	socket string // the folder of the Unix socket
	tidy   func() // removes the socket's folder and gives up the lock
	done   chan struct{}
}

// watch tidies up when the server ends, for whatever reason, so that Start can be called again.
func (c *Cluster) watch() {
	<-c.server.done
	c.tidy()
	close(c.done)
}

// Done is closed when the server has ended, by Stop or by itself.
func (c *Cluster) Done() <-chan struct{} { return c.done }

// PID is the process id of the server.
func (c *Cluster) PID() int { return c.server.cmd.Process.Pid }

// ConnString is the address of a database of this cluster, for pgx, with the password in it: do not log it. An empty password is
// left out.
func (c *Cluster) ConnString(user, password, database string) string {
	return Address(c.socket, user, password, database)
}

// Socket is the folder in which the server listens.
func (c *Cluster) Socket() string { return c.socket }

// Address is the address of a database behind the Unix socket in the folder socket.
func Address(socket, user, password, database string) string {
	who := url.User(user)
	if password != "" {
		who = url.UserPassword(user, password)
	}
	query := url.Values{"host": {socket}, "port": {port}, "sslmode": {"disable"}} // nothing leaves the machine
	return (&url.URL{Scheme: "postgres", User: who, Path: "/" + database, RawQuery: query.Encode()}).String()
}

// Stop ends the server and waits until it has ended: first it may finish in order while its clients are turned away (SIGINT), after
// ten seconds, or when ctx ends, it must stop at once (SIGQUIT), and then it is killed. Whatever was committed is safe in each case.
func (c *Cluster) Stop(ctx context.Context) error {
	if c.signalled(ctx, syscall.SIGINT) {
		return c.outcome()
	}
	ctx = context.WithoutCancel(ctx)
	if c.signalled(ctx, syscall.SIGQUIT) || c.signalled(ctx, syscall.SIGKILL) {
		return errors.New("stopping the database server: it had to be interrupted and will recover at the next start")
	}
	return fmt.Errorf("stopping the database server: process %d does not end", c.PID())
}

// signalled sends a signal and reports whether the server ended in time.
func (c *Cluster) signalled(ctx context.Context, signal os.Signal) bool {
	c.server.cmd.Process.Signal(signal) // an error means that it has ended already
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-c.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// outcome is nil after an orderly end.
func (c *Cluster) outcome() error {
	if c.server.err != nil {
		return fmt.Errorf("stopping the database server: it had ended by itself: %w", c.server.err)
	}
	return nil
}
