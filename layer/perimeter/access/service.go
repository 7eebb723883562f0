package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"slices"
	"strings"

	"github.com/redoubt-dev/redoubt/layer/perimeter/assertion"
)

// ServiceHeader carries a program's token.
const ServiceHeader = "Redoubt-Service-Token"

// A token is tokenPrefix, the service's name, a hyphen, 52 characters of secret and 7 of a check, so that a program which looks for
// leaked secrets can tell one, and so that a typing mistake is told from a token that was taken back.
const (
	tokenPrefix  = "redoubt-service-"
	secretLength = 52
	checkLength  = 7
	maxToken     = len(tokenPrefix) + 32 + 1 + secretLength + checkLength
)

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// A Service is a program that may present a token. Several of one name have several tokens, so that one can be replaced at leisure.
type Service struct {
	Name string            // as policies call it: lower case letters, digits and hyphens
	Hash [sha256.Size]byte // of its token; the token itself is kept by the program alone
}

// NewService makes a token for the program of that name. The token is shown once; s is what the configuration keeps.
func NewService(name string) (token string, s Service, err error) {
	if !nameForm.MatchString(name) {
		return "", Service{}, errors.New("a service's name is of up to 32 lower case letters, digits and hyphens")
	}
	secret := make([]byte, 32)
	rand.Read(secret) // never fails (crypto/rand)
	body := tokenPrefix + name + "-" + lowerBase32.EncodeToString(secret)
	token = body + check(body)
	return token, Service{name, sha256.Sum256([]byte(token))}, nil
}

func check(body string) string {
	return lowerBase32.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body))))
}

// serviceName reads the name out of what has the form of a token.
func serviceName(token string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok || len(token) > maxToken || len(rest) <= secretLength+checkLength+1 {
		return "", false
	}
	at := len(token) - checkLength
	if check(token[:at]) != token[at:] {
		return "", false
	}
	name, ok = strings.CutSuffix(rest[:len(rest)-secretLength-checkLength], "-")
	return name, ok && nameForm.MatchString(name)
}

// SetServices replaces the programs that have tokens. What they have begun ends when it is next asked about.
func (g *Guard) SetServices(all []Service) error {
	var problems []error
	if len(all) > MaxServices {
		problems = append(problems, fmt.Errorf("there are more than %d services", MaxServices))
	}
	for i, s := range all {
		switch {
		case !nameForm.MatchString(s.Name):
			problems = append(problems, fmt.Errorf("service %d has no name of up to 32 lower case letters, digits and hyphens", i+1))
		case s.Hash == [sha256.Size]byte{}:
			problems = append(problems, fmt.Errorf("service %s has no digest of a token", s.Name))
		}
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	all = slices.Clone(all)
	g.services.Store(&all)
	return nil
}

// service compares with every service's digest, whatever the name in the token is, so that time tells nothing about either.
func (g *Guard) service(token string) (s Service, ok bool) {
	if len(token) > maxToken {
		return Service{}, false
	}
	hash := sha256.Sum256([]byte(token))
	for _, one := range *g.services.Load() {
		if subtle.ConstantTimeCompare(one.Hash[:], hash[:]) == 1 {
			s, ok = one, true
		}
	}
	name, formed := serviceName(token)
	return s, ok && formed && name == s.Name
}

func (s Service) signOn() assertion.SignOn {
	return assertion.SignOn{By: assertion.ByService, Subject: s.Name}
}

// takeToken removes a program's token from h, and returns it. Two are none.
func takeToken(h http.Header) (token string, given bool) {
	values := h[ServiceHeader]
	delete(h, ServiceHeader)
	if len(values) == 1 {
		return values[0], true
	}
	return "", len(values) > 0
}

// tokenInQuery finds a token where it would come to lie in logs and histories.
func tokenInQuery(query string) bool {
	query = unescape(query)
	for {
		i := strings.Index(query, tokenPrefix)
		if i < 0 {
			return false
		}
		query = query[i:]
		end := strings.IndexFunc(query, func(c rune) bool { return c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') })
		if end < 0 {
			end = len(query)
		}
		if _, ok := serviceName(query[:end]); ok {
			return true
		}
		query = query[len(tokenPrefix):]
	}
}
