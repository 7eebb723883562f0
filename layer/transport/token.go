package transport

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"

	"github.com/redoubt-dev/redoubt/layer"
)

// Where a page's forms and scripts put the synchroniser token.
const (
	TokenField  = "_token"          // the form field
	TokenHeader = "X-Redoubt-Token" // the header of a script's request
)

var tokenText = base64.RawURLEncoding.Strict()

// Token is the synchroniser token of session, for its pages' forms (SYSTEM T3). It asks another source than the cross-site
// check: not what the browser says about the request, but whether whoever made it could read one of our pages. Each call
// returns another text of the same token, a random pad and the token XORed with it, so that a compressed page gives nothing
// away to one who counts bytes (the BREACH attack). It is empty for an empty session.
func (t *Transport) Token(session string) string {
	if session == "" {
		return ""
	}
	text := make([]byte, 2*sha256.Size)
	rand.Read(text[:sha256.Size]) // never fails
	subtle.XORBytes(text[sha256.Size:], text[:sha256.Size], t.tokenOf(session))
	return tokenText.EncodeToString(text)
}

// CheckToken refuses unless presented, taken from TokenField or TokenHeader, is a token of session. Nobody's session has none.
func (t *Transport) CheckToken(session, presented string) error {
	cause := errors.New("synchroniser token missing or not of this session")
	refused := refusal(layer.Forbidden, "This page has expired. Load it again and repeat what you did.", cause)
	if session == "" || len(presented) != tokenText.EncodedLen(2*sha256.Size) {
		return refused
	}
	text, err := tokenText.DecodeString(presented)
	if err != nil {
		return refused
	}
	got := make([]byte, sha256.Size)
	subtle.XORBytes(got, text[:sha256.Size], text[sha256.Size:])
	if !hmac.Equal(got, t.tokenOf(session)) {
		return refused
	}
	return nil
}

func (t *Transport) tokenOf(session string) []byte {
	mac := hmac.New(sha256.New, t.cfg.TokenKey)
	mac.Write([]byte("token\x00" + session))
	return mac.Sum(nil)
}
