package acme

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// DNS puts records into the hosts' DNS and takes them out again. Several records of one name may be there at once. An Exec is one; a
// provider's own library fits with a few lines.
type DNS interface {
	// Present adds a TXT record: name without a dot at its end, such as "_acme-challenge.app.example", and its value.
	Present(ctx context.Context, name, value string) error
	// CleanUp removes that one record. It is called even if Present went wrong.
	CleanUp(ctx context.Context, name, value string) error
}

// DNSTimeout bounds one call of a DNS.
const DNSTimeout = 5 * time.Minute

// A dnsSolver answers by a record.
type dnsSolver struct{ m *Manager }

func (s dnsSolver) Present(ctx context.Context, c acme.Challenge) error {
	if s.m.hosts[c.Identifier.Value] == nil && s.m.hosts["*."+c.Identifier.Value] == nil {
		return errors.New("the authority asks about something else than what was ordered")
	}
	ctx, cancel := context.WithTimeout(ctx, DNSTimeout)
	defer cancel()
	if err := s.m.config.DNS01.Present(ctx, c.DNS01TXTRecordName(), c.DNS01KeyAuthorization()); err != nil {
		return fmt.Errorf("adding a DNS record: %w", err)
	}
	return nil
}

// Wait implements acmez.Waiter: the record is given its time to be seen before the authority looks.
func (s dnsSolver) Wait(ctx context.Context, _ acme.Challenge) error {
	if s.m.config.DNSWait == 0 {
		return nil
	}
	wait := time.NewTimer(s.m.config.DNSWait)
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// CleanUp removes the record even if the order was given up meanwhile.
func (s dnsSolver) CleanUp(ctx context.Context, c acme.Challenge) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), DNSTimeout)
	defer cancel()
	if err := s.m.config.DNS01.CleanUp(ctx, c.DNS01TXTRecordName(), c.DNS01KeyAuthorization()); err != nil {
		return fmt.Errorf("removing a DNS record: %w", err)
	}
	return nil
}
