package logsecret

import (
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"strings"

	"github.com/redoubt-dev/redoubt/backbone/secret"
	"github.com/redoubt-dev/redoubt/layer/identity"
)

func good(v secret.Value, r *http.Request, log *slog.Logger) error {
	log.Info("asked", "agent", r.Header.Get("User-Agent"), "path", r.URL.Path, "v", v)
	if r.Header.Get("Authorization") == "" {
		return errors.New("no credential")
	}
	log.Info("asked", "presented", r.Header.Get("Authorization") != "", "long", len(v.Reveal()))
	fmt.Sprintf("Bearer %s", v.Reveal())
	return fmt.Errorf("asking %s", r.Method)
}

func bad(v secret.Value, r *http.Request, logger *slog.Logger, ids *identity.Service) error {
	slog.Info("opening", "password", v.Reveal())                // want `slog\.Info: the secret would be written down: leave it out, or name it by an identifier \(SYSTEM S6\)`
	logger.Warn("opening", slog.String("password", v.Reveal())) // want `slog\.String: the secret would be written down`
	log.Printf("%s", v.Bytes())                                 // want `log\.Printf: the secret would be written down`
	fmt.Println("Bearer " + v.Reveal())                         // want `fmt\.Println: the secret would be written down`
	fmt.Print(strings.ToUpper(fmt.Sprint(v.Reveal())))          // want `fmt\.Print: the secret would be written down`
	logger.Info("asked", "by", r.Header.Get("authorization"))   // want `Logger\.Info: the caller's Authorization would be written down`
	logger.Info("asked", "by", r.Header["Cookie"])              // want `Logger\.Info: the caller's Cookie would be written down`
	logger.Info("asked", "with", r.Header)                      // want `Logger\.Info: every header would be written down`
	logger.Info("asked", "request", r)                          // want `Logger\.Info: the request, with its headers, would be written down`
	logger.Info("asked", "cookies", r.Cookies())                // want `Logger\.Info: the caller's cookies would be written down`
	token, _, err := ids.InsecureSignIn("ada")
	logger.Info("signed in", "token", token[:8]) // want `Logger\.Info: the session's token would be written down`
	password := v.Reveal()
	if err != nil {
		return fmt.Errorf("signing in with %q: %w", password, err) // want `fmt\.Errorf: the secret would be written down`
	}
	return errors.New("cannot use " + password) // want `errors\.New: the secret would be written down`
}
