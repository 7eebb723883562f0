package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redoubt-dev/redoubt"
	"github.com/redoubt-dev/redoubt/internal/devedge"
	"github.com/redoubt-dev/redoubt/internal/postgres"
	"github.com/redoubt-dev/redoubt/layer/perimeter/provision"
)

// A system is everything that up has started.
type system struct {
	app   redoubt.App
	flags upFlags
	dir   upDir
	tell  *teller

	cluster  *postgres.Cluster // nil with --database-url
	database func(user, password string) string
	admin    string
	secrets  map[string]string
	keys     *provision.Keys
	edge     *devedge.Edge
	origin   string
	plainURL string
	issuer   string
	mailbox  string // where caught mail is shown
	ports    ports

	remembered memory // of earlier runs
	people     []devPerson
	child      *application
	failed     chan error
	stops      []func(context.Context) error // run in reverse
}

// stopLimit bounds an orderly end; what has not ended by then is ended.
const stopLimit = 40 * time.Second

func (s *system) later(stop func(context.Context) error) { s.stops = append(s.stops, stop) }

func (s *system) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	var faults []error
	for _, stop := range slices.Backward(s.stops) {
		faults = append(faults, stop(ctx))
	}
	return errors.Join(faults...)
}

// start starts every part, from the inside out.
func (s *system) start(ctx context.Context) error {
	s.failed = make(chan error, 8)
	for _, step := range []func(context.Context) error{s.startDatabase, s.migrate, s.recall, s.listen, s.startProvider, s.startMail, s.fill, s.startEdge, s.startApplication} {
		err := step(ctx)
		if ctx.Err() != nil {
			return errors.New("interrupted before everything had started")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// wait ends when ctx does, or when a part fails.
func (s *system) wait(ctx context.Context) error {
	var server <-chan struct{}
	if s.cluster != nil {
		server = s.cluster.Done()
	}
	select {
	case <-ctx.Done():
		if !s.tell.json {
			fmt.Fprintln(s.tell.out, "\nStopping.")
		}
		return nil
	case <-server:
		return hinted{errors.New("the database server has ended by itself"), "read postgres.log beside the database's files"}
	case err := <-s.failed:
		return err
	}
}
