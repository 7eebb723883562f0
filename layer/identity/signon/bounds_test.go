package signon

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryIsBoundedAndForgets(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	o := newOnce(maxRemembered)
	for i := range maxRemembered + 1 {
		if !o.first(strconv.Itoa(i), start, start.Add(time.Minute)) {
			t.Fatalf("%d was seen before", i)
		}
	}
	if len(o.until) != maxRemembered || o.order.Len() != maxRemembered {
		t.Errorf("got %d names, want %d", len(o.until), maxRemembered)
	}
	if o.first("1", start, start.Add(time.Minute)) && !o.first("0", start, start) {
		t.Error("the newest was forgotten rather than the oldest")
	}
	o.first("later", start.Add(2*time.Minute), start.Add(3*time.Minute))
	if o.order.Len() != 1 {
		t.Errorf("got %d names after all have run out, want one", o.order.Len())
	}
}

func TestVisitorsShareOneFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fetches atomic.Int32
		l := newLazy(time.Now, func(context.Context) (int, error) {
			fetches.Add(1)
			time.Sleep(time.Second)
			return 7, nil
		})
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if got, err := l.get(t.Context(), time.Minute); got != 7 || err != nil {
					t.Errorf("got %d, %v", got, err)
				}
			})
		}
		all.Wait()
		if fetches.Load() != 1 {
			t.Errorf("fetched %d times, want once", fetches.Load())
		}
	})
}

func TestAVisitorWhoLeavesIsNotAProviderThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLazy(time.Now, func(ctx context.Context) (int, error) {
			select {
			case <-time.After(time.Second):
				return 7, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		})
		leaving, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { l.get(leaving, time.Minute) })
		synctest.Wait()
		all.Go(func() { // waits for its turn, and leaves too
			if _, err := l.get(leaving, time.Minute); !errors.Is(err, ErrUnreachable) {
				t.Errorf("got %v, want to be told", err)
			}
		})
		synctest.Wait()
		leave()
		all.Wait()
		if got, err := l.get(t.Context(), time.Minute); got != 7 || err != nil {
			t.Errorf("got %d, %v, want what was fetched", got, err)
		}
	})
}

func TestAFetchHasALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLazy(time.Now, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		begun := time.Now()
		if _, err := l.get(context.Background(), time.Minute); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != fetchTime {
			t.Errorf("got %v after %v, want the limit of %v", err, time.Since(begun), fetchTime)
		}
	})
}

// Whatever a provider sends in place of its document, what is taken of it can be asked safely.
func FuzzDiscovery(f *testing.F) {
	p, err := New(Config{Issuer: "https://idp.example", ClientID: "a", ClientSecret: "b", RedirectURL: "https://shop.example/callback"})
	if err != nil {
		f.Fatal(err)
	}
	good := `{"issuer":"https://idp.example","authorization_endpoint":"https://idp.example/a","token_endpoint":"https://idp.example/t","jwks_uri":"https://idp.example/k"}`
	if _, err := p.readMetadata([]byte(good)); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(good))
	f.Add([]byte(strings.Replace(good, "https://idp.example/t", "http://127.0.0.1/t", 1)))
	f.Add([]byte(strings.Replace(good, "}", `,"end_session_endpoint":"javascript:alert(1)"}`, 1)))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := p.readMetadata(body)
		if err != nil {
			return
		}
		for _, address := range []string{m.Authorization, m.Token, m.Keys, m.Userinfo, m.EndSession} {
			if address != "" && (!strings.HasPrefix(strings.ToLower(address), "https://") || strings.Contains(address, "@") && strings.Contains(strings.SplitN(address, "/", 4)[2], "@")) {
				t.Errorf("%q would be asked", address)
			}
		}
		if m.Issuer != "https://idp.example" || m.oauth == nil {
			t.Errorf("got %q", m.Issuer)
		}
	})
}

// Whatever a provider sends in place of its keys, none of those taken is a secret, too short, or of two minds.
func FuzzKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}],"keys":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		keys, ok := readKeys(body)
		if !ok && keys != nil || len(keys) > maxKeys {
			t.Errorf("got %d keys of what was refused", len(keys))
		}
		for _, key := range keys {
			fitting := 0
			for _, kind := range []string{"RS256", "ES256", "ES384", "ES512", "EdDSA"} {
				if fits(key, kind) {
					fitting++
				}
			}
			if !key.IsPublic() || fitting > 1 || fits(key, "HS256") || fits(key, "none") {
				t.Errorf("a key of type %T verifies %d kinds", key.Key, fitting)
			}
		}
	})
}

// Whatever somebody sends as a token: what parses has one spelling, a pinned algorithm, and a header without surprises.
func FuzzToken(f *testing.F) {
	encode := base64.RawURLEncoding.EncodeToString
	for _, header := range []string{`{"alg":"ES256"}`, `{"alg":"none"}`, `{"alg":"ES256","crit":["b64"],"b64":false}`, `{"alg":"ES256","alg":"none"}`} {
		f.Add(encode([]byte(header)) + "." + encode([]byte(`{"sub":"x"}`)) + ".AAAA")
	}
	f.Fuzz(func(t *testing.T, raw string) {
		parsed, err := parse(raw, defaultAlgorithms)
		if err != nil {
			if Name(err) == "" {
				t.Errorf("%v has no name", err)
			}
			return
		}
		parts := strings.Split(raw, ".")
		header, err := base64.RawURLEncoding.DecodeString(parts[0])
		if err != nil || encode(header) != parts[0] || !slices.Contains(defaultAlgorithms, parsed.algorithm) || len(parts) != 3 || parts[2] == "" {
			t.Errorf("got %s of %q", parsed.algorithm, raw)
		}
		if got := parsed.signed.Signatures[0].Header; got.Algorithm != parsed.algorithm || got.KeyID != parsed.keyID || got.JSONWebKey != nil {
			t.Errorf("two readers of one header: %q %q, %q %q", got.Algorithm, got.KeyID, parsed.algorithm, parsed.keyID)
		}
	})
}

func TestAParserThatPanicsEndsNoProgram(t *testing.T) {
	l := newLazy(time.Now, func(context.Context) (int, error) { panic("hunter2") })
	if got, err := l.get(t.Context(), time.Minute); got != 0 || !errors.Is(err, ErrUnreachable) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %d, %v", got, err)
	}
}
