package command_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"testing"
	"time"
)

var hiddenField = regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]*)">`)

// Whoever signs out at the provider is signed out here, by the provider's own word, which comes through the edge like everybody's.
func TestSigningOutAtTheProviderEndsTheSession(t *testing.T) { // SYSTEM I5, P1
	up := system(t)
	browser := up.client(t)
	browser.Jar, _ = cookiejar.New(nil)
	browser.CheckRedirect = nil
	fetch := func(resp *http.Response, err error) (*http.Response, url.Values) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		page, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		form := url.Values{}
		for _, m := range hiddenField.FindAllStringSubmatch(string(page), -1) {
			form.Set(m[1], m[2])
		}
		return resp, form
	}
	_, form := fetch(browser.Get(up.URL + "/sign-in?return=%2Fsessions"))
	form.Set("subject", "dev-bob")
	if resp, _ := fetch(browser.PostForm(up.Issuer+"/choose", form)); resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/sessions" {
		t.Fatalf("signing in leads to %s, %d", resp.Request.URL.Path, resp.StatusCode)
	}
	_, form = fetch(browser.Get(up.Issuer + "/end_session"))
	if resp, _ := fetch(browser.PostForm(up.Issuer+"/signout", form)); resp.StatusCode != http.StatusOK {
		t.Fatalf("the provider answers %d", resp.StatusCode)
	}
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		resp, _ := fetch(browser.Get(up.URL + "/sessions"))
		if resp.StatusCode == http.StatusSeeOther {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the session lives on: %d", resp.StatusCode)
		}
	}
}
