// Package realidp starts identity providers that we did not write, for tests: a relying party that is tested against a provider by
// the same authors is tested against their reading of the specification. There are two, which differ: oidc-provider on Node.js, a
// certified and complete one, and Dex, which is widely used and implements less.
//
// Both are pinned, by the lock files in the folder pinned, which hold the digest of every part, and installed into the folder of
// downloads by `go run ./internal/realidp/install`. Tests find them there; without them a test is skipped with that command, and fails
// where CI is set, so that nobody goes without unknowingly. They listen on loopback and end with the test.
package realidp

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// pinned are the lock files, which say what is installed.
//
//go:embed pinned
var pinned embed.FS

// program configures oidc-provider.
//
//go:embed server.mjs
var program string

// Command is what installs the providers.
const Command = "go run ./internal/realidp/install"

// A Person can sign in.
type Person struct {
	Subject       string   `json:"subject"` // at oidc-provider; Dex makes its own of it
	Name          string   `json:"name"`
	Email         string   `json:"email"`
	EmailVerified bool     `json:"email_verified"` // at oidc-provider; Dex says yes
	Groups        []string `json:"groups"`
}

// A Client is a relying party.
type Client struct {
	ID                     string   `json:"client_id"`
	Secret                 string   `json:"client_secret"`
	RedirectURIs           []string `json:"redirect_uris"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"` // oidc-provider alone, as all below
	BackchannelLogoutURI   string   `json:"backchannel_logout_uri,omitempty"`
	Algorithm              string   `json:"id_token_signed_response_alg,omitempty"`        // zero is RS256
	UserinfoAlgorithm      string   `json:"userinfo_signed_response_alg,omitempty"`        // zero means that userinfo is plain JSON
	Authentication         string   `json:"token_endpoint_auth_method,omitempty"`          // zero is client_secret_basic
	Grants                 []string `json:"grant_types,omitempty"`                         // set by Node
	Session                bool     `json:"backchannel_logout_session_required,omitempty"` // set by Node
}

// Config says who may sign in, and where.
type Config struct {
	Clients []Client `json:"clients"`
	People  []Person `json:"people"`
	// Lean has oidc-provider keep address, name and groups out of the ID token, for userinfo alone, as OpenID Connect Core 1.0
	// section 5.4 has it for whoever gets an access token. Zero puts them into both.
	Lean bool `json:"lean"`
}

// Place is the folder of one installation. Its name changes with anything that is pinned, so that an old one is never taken for it.
func Place() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	err = fs.WalkDir(pinned, "pinned", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := pinned.ReadFile(path)
		sum.Write([]byte(path + "\x00"))
		sum.Write(content)
		return err
	})
	return filepath.Join(cache, "redoubt", "realidp-"+hex.EncodeToString(sum.Sum(nil))[:16]), err
}

// An installation is what Place holds.
type installation struct{ node, modules, dex string }

var errMissing = errors.New("the identity providers of tests are not installed")

func installed() (installation, error) {
	place, err := Place()
	if err != nil {
		return installation{}, err
	}
	modules := filepath.Join(place, "node")
	node, err := findNode(modules)
	if err != nil {
		return installation{}, errMissing
	}
	i := installation{node, modules, filepath.Join(place, "dex", "dex")}
	for _, path := range []string{filepath.Join(i.modules, "node_modules", "oidc-provider"), i.dex} {
		if _, err := os.Stat(path); err != nil {
			return installation{}, errMissing
		}
	}
	return i, nil
}

// findNode prefers the Node.js that came with the installation, which the lock file pins for Linux: what a distribution brings is often
// too old. Elsewhere it is the machine's own.
func findNode(modules string) (string, error) {
	own := filepath.Join(modules, "node_modules", "node-linux-"+map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH], "bin", "node")
	if _, err := os.Stat(own); err == nil && runtime.GOOS == "linux" {
		return own, nil
	}
	return exec.LookPath("node")
}
