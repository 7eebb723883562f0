package assertion

import (
	"errors"
	"net/netip"
	"time"
)

// A Token is the edge's word on who was let in, once verified.
type Token struct {
	Who     SignOn
	Issued  time.Time
	Expires time.Time // it may be believed for Skew longer
	Key     string    // that signed it
}

// Open verifies a token: that one of keys signed it, for this application and this link, and that it lives.
func Open(token string, keys []VerifyKey, application, link string, now time.Time) (Token, error) {
	var c tokenClaims
	kid, err := signed(token, tokenType, MaxToken, keys, &c)
	if err != nil {
		return Token{}, err
	}
	if err := c.check(kid, application, TokenLife, now); err != nil {
		return Token{}, err
	}
	if c.Link == "" || c.Link != link {
		return Token{}, errors.New("the assertion is for another link")
	}
	return Token{c.signOn(), time.Unix(c.Issued, 0), time.Unix(c.Expires, 0), kid}, nil
}

// A Word is the edge's on one request, once verified.
type Word struct {
	Request RequestFacts
	Who     SignOn
	Issued  time.Time
	Expires time.Time // it may be believed for Skew longer
	Key     string    // that signed it
}

// OpenHeader verifies the value of HeaderName for one request exactly as it was received: of r it asks Method, Host and Target.
func OpenHeader(header string, keys []VerifyKey, application string, r RequestFacts, now time.Time) (Word, error) {
	var c headerClaims
	kid, err := signed(header, headerType, MaxHeader, keys, &c)
	if err != nil {
		return Word{}, err
	}
	if err := c.check(kid, application, HeaderLife, now); err != nil {
		return Word{}, err
	}
	client, err := netip.ParseAddr(c.Client)
	switch {
	case c.Method != r.Method:
		return Word{}, errors.New("the assertion is for another method")
	case c.Host != r.Host:
		return Word{}, errors.New("the assertion is for another host")
	case c.Target != targetClaim(r.Target):
		return Word{}, errors.New("the assertion is for another path or query")
	case c.ID == "" || len(c.ID) > MaxID:
		return Word{}, errors.New("the assertion has no usable identifier")
	case err != nil:
		return Word{}, errors.New("the client's address is unreadable")
	}
	r.ID, r.Client = c.ID, client
	return Word{r, c.signOn(), time.Unix(c.Issued, 0), time.Unix(c.Expires, 0), kid}, nil
}
