package migrate

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// SetPasswords gives each role its password as a SCRAM verifier, so that the password itself never travels in SQL text, nor
// into the server's log (RFC 5802, RFC 7677). conn belongs to a superuser.
func SetPasswords(ctx context.Context, conn *pgx.Conn, passwords map[string]string) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("setting passwords: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	// Roles belong to the whole server: whoever migrates another database of it may be doing the same.
	if err := script(ctx, conn, "lock table pg_catalog.pg_authid in share row exclusive mode"); err != nil {
		return fmt.Errorf("waiting to set passwords: %w", err)
	}
	for role, password := range passwords {
		verifier, err := scramVerifier(password)
		if err != nil {
			return fmt.Errorf("hashing the password of %s: %w", role, err)
		}
		// ALTER ROLE takes no parameters; a verifier holds neither quotes nor backslashes.
		if err := script(ctx, conn, "alter role "+pgx.Identifier{role}.Sanitize()+" password '"+verifier+"'"); err != nil {
			return fmt.Errorf("setting the password of %s: %w", role, err)
		}
	}
	return tx.Commit(ctx)
}

// scramRounds is what PostgreSQL itself uses. The passwords are 256 random bits, so more rounds would buy nothing.
const scramRounds = 4096

func scramVerifier(password string) (string, error) {
	salt := make([]byte, 16)
	rand.Read(salt)
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramRounds, sha256.Size)
	if err != nil {
		return "", err
	}
	mac := func(key []byte, text string) []byte {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramRounds, b64(salt), b64(stored[:]), b64(mac(salted, "Server Key"))), nil
}
