package insecureconfig

import (
	"context"
	"crypto/tls"
	"net/http"
	"os"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

func good(secure bool, r *http.Request) []any {
	r.AddCookie(&http.Cookie{Name: "session", Value: "v"}) // a client sends a name and a value
	return []any{
		&tls.Config{MinVersion: tls.VersionTLS13},
		&tls.Config{InsecureSkipVerify: false, MinVersion: tls.VersionTLS12, MaxVersion: 0},
		oidc.Config{ClientID: "shop", SkipExpiryCheck: false},
		oauth2.Endpoint{AuthURL: "a", TokenURL: "b", AuthStyle: oauth2.AuthStyleInHeader},
		oauth2.Endpoint{},
		http.Cookie{},
		&http.Cookie{Name: "__Host-session", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode},
	}
}

func bad(skip bool, version uint16, ctx context.Context) []any {
	config := &tls.Config{}
	config.InsecureSkipVerify = skip     // want `InsecureSkipVerify: it switches a check off`
	config.MinVersion = tls.VersionTLS10 // want `MinVersion: TLS older than 1\.2 is broken`
	config.KeyLogWriter = nil
	_ = tls.InsecureCipherSuites() // want `InsecureCipherSuites: it switches a check off`
	return []any{
		&tls.Config{InsecureSkipVerify: true},                                                 // want `InsecureSkipVerify: it switches a check off`
		&tls.Config{MinVersion: tls.VersionTLS11},                                             // want `MinVersion: TLS older than 1\.2 is broken`
		&tls.Config{MinVersion: version},                                                      // want `MinVersion: TLS older than 1\.2 is broken`
		&tls.Config{MaxVersion: tls.VersionTLS11},                                             // want `MaxVersion: TLS older than 1\.2 is broken`
		&tls.Config{KeyLogWriter: os.Stderr},                                                  // want `KeyLogWriter: whoever reads these keys`
		oidc.Config{SkipClientIDCheck: true},                                                  // want `SkipClientIDCheck: it switches a check off`
		&oidc.Config{SkipIssuerCheck: skip},                                                   // want `SkipIssuerCheck: it switches a check off`
		oidc.Config{InsecureSkipSignatureCheck: true},                                         // want `InsecureSkipSignatureCheck: it switches a check off`
		oidc.InsecureIssuerURLContext(ctx, ""),                                                // want `InsecureIssuerURLContext: it switches a check off`
		oauth2.Endpoint{TokenURL: "b"},                                                        // want `AuthStyle: without it the client's secret`
		oauth2.AuthStyleAutoDetect,                                                            // want `AuthStyleAutoDetect: the client's secret`
		http.Cookie{Name: "session", HttpOnly: true},                                          // want `Secure: a cookie without it`
		&http.Cookie{Name: "session", Secure: true},                                           // want `HttpOnly: a cookie without it`
		http.Cookie{Name: "s", Secure: false, HttpOnly: true},                                 // want `Secure: the cookie can be read by others`
		http.Cookie{Name: "s", Secure: true, HttpOnly: true, SameSite: http.SameSiteNoneMode}, // want `SameSiteNoneMode: every site`
	}
}
