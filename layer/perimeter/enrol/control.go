package enrol

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Control answers a message that a connector sent over its link (a renewal, or a question for news), or returns an error, on which the
// link is ended. What this machine cannot do at the moment is no such error: the connector is told to ask again.
func (a *Authority) Control(p Peer, message []byte) ([]byte, error) {
	q, err := parseRequest(message)
	if err != nil {
		return nil, fmt.Errorf("reading a connector's message: %w", err)
	}
	if q.Ask == askJoin {
		return nil, errors.New("reading a connector's message: it is enrolled already")
	}
	reply, err := a.respond(p, q)
	switch {
	case errors.Is(err, errNotEnrolled) || errors.Is(err, errOtherKey) || errors.As(err, &errRefusal{}):
		return nil, fmt.Errorf("answering a connector: %w", err)
	case err != nil:
		a.log.Error("answering a connector", "connector", p.ID, "error", err.Error())
		reply = answer{Is: isLater}
	}
	return json.Marshal(reply)
}

func (a *Authority) respond(p Peer, q request) (answer, error) {
	if !a.messages.allow(p.ID) {
		return answer{Is: isLater}, nil
	}
	k, err := a.enrolled(&p)
	if err != nil {
		return answer{}, err
	}
	if q.Ask == askRenew {
		reply, err := a.renew(q, p, proof(askRenew, []byte(p.ID), q.Key))
		if err == nil && len(reply.Certificate) > 0 {
			a.log.Info("connector renewed", "connector", p.ID)
		}
		return reply, err
	}
	r, err := a.record()
	if err != nil {
		return answer{}, err
	}
	c, err := a.connector(p.ID)
	if err != nil {
		return answer{}, err
	}
	reply := a.news(r, c, nil)
	reply.Renew = !k.Seen || k.Issuer != r.issuer().pin || k.Signing != r.newest().ID // the connector has not the last answer
	return reply, nil
}

// renew gives a connector a certificate for its next key. The one that it has stays on record, so that links made with it go on, and
// so that a connector that never hears the answer is not shut out.
func (a *Authority) renew(q request, p Peer, digest []byte) (answer, error) {
	public, pin, err := proven(q, digest)
	if err != nil {
		return answer{}, err
	}
	r, err := a.record()
	if err != nil {
		return answer{}, err
	}
	c, err := a.connector(p.ID)
	if err != nil {
		return answer{}, err
	}
	all, err := a.keysOf()
	if err != nil {
		return answer{}, err
	}
	number, err := a.place(p, pin, all[p.ID])
	if err != nil {
		return answer{}, err
	}
	certificate, err := a.certify(r, p.ID, public, pin, number)
	if err != nil {
		return answer{}, err
	}
	return a.news(r, c, certificate), nil
}

// place numbers a connector's next key, and removes from the record what is beyond keysEach: the oldest, but neither the one that it
// uses now nor one that is being asked for again.
func (a *Authority) place(p Peer, next Pin, has []keyEntry) (number int, err error) {
	if p.Pin == next {
		return 0, errRefusal{"the key is not a new one"}
	}
	for _, k := range has {
		number = max(number, k.Number+1)
	}
	if i := slices.IndexFunc(has, func(k keyEntry) bool { return k.Pin == next }); i >= 0 {
		return has[i].Number, nil // the answer was lost; it is given again
	}
	excess := len(has) + 1 - keysEach
	for _, k := range has {
		if excess > 0 && k.Pin != p.Pin {
			if err := a.keys.Delete(p.ID + k.Pin.short()); err != nil {
				return 0, err
			}
			excess--
		}
	}
	return number, nil
}
