package egress_test

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/layer/input/egress"
)

func TestAddressesThatAreTaken(t *testing.T) { // SYSTEM N5
	for raw, want := range map[string]string{
		"http://example.com":                                   "http://example.com/",
		"https://example.com":                                  "https://example.com/",
		"HTTPS://EXAMPLE.com/Path":                             "https://example.com/Path",
		"https://example.com:443/":                             "https://example.com/",
		"http://example.com:80/?":                              "http://example.com/",
		"http://example.com:443/":                              "http://example.com:443/",
		"https://example.com:80/":                              "https://example.com:80/",
		"https://example.com/a?b=c&d=%41#part":                 "https://example.com/a?b=c&d=%41",
		"https://example.com/a/../b;c@d:e":                     "https://example.com/a/../b;c@d:e",
		"https://example.com//evil.example/":                   "https://example.com//evil.example/",
		"https://example.com?q=http://127.0.0.1/":              "https://example.com/?q=http://127.0.0.1/",
		"https://example.com/#@evil.example/":                  "https://example.com/",
		"https://münchen.example/straße?ü=<é>":                 "https://xn--mnchen-3ya.example/stra%C3%9Fe?%C3%BC=%3C%C3%A9%3E",
		"https://m%C3%BCnchen.example/":                        "https://xn--mnchen-3ya.example/",
		"https://MÜNCHEN.example/":                             "https://xn--mnchen-3ya.example/",
		"https://xn--mnchen-3ya.example/":                      "https://xn--mnchen-3ya.example/",
		"https://faß.example/":                                 "https://xn--fa-hia.example/",
		"https://例え.テスト/":                                      "https://xn--r8jz45g.xn--zckzah/",
		"https://r3---sn-4g5e.example.com/":                    "https://r3---sn-4g5e.example.com/",
		"https://ｅｘａｍｐｌｅ．ｃｏｍ/":                                 "https://example.com/",
		"https://" + strings.Repeat("a", 63) + ".example/":     "https://" + strings.Repeat("a", 63) + ".example/",
		"https://example.com/" + strings.Repeat("a", 2<<10-20): "https://example.com/" + strings.Repeat("a", 2<<10-20),
	} {
		if got, err := egress.Address(raw); got != want || err != nil {
			t.Errorf("%q: got %q, %v; want %q", raw, got, err, want)
		}
	}
}

func TestAddressesThatAreRefused(t *testing.T) { // SYSTEM N5
	for name, raw := range map[string]string{
		"nothing":                                "",
		"no scheme":                              "example.com",
		"no scheme and two slashes":              "//example.com/",
		"another scheme":                         "ftp://example.com/",
		"a file":                                 "file:///etc/passwd",
		"a Unix socket":                          "unix:///run/x.sock",
		"gopher, which speaks any protocol":      "gopher://example.com:70/_",
		"data":                                   "data:text/html,x",
		"script":                                 "javascript:alert(1)",
		"no slashes":                             "http:example.com",
		"one slash":                              "http:/example.com",
		"three slashes":                          "http:///example.com/",
		"backslashes":                            `http:\\example.com\`,
		"a backslash before the path":            `http://example.com\@127.0.0.1/`,
		"a user":                                 "http://user@example.com/",
		"a user and password":                    "http://user:pw@example.com/",
		"an empty user":                          "http://@example.com/",
		"two users":                              "http://a@b@example.com/",
		"a port inside":                          "http://example.com:22/",
		"a port that wraps around to 80":         "http://example.com:65616/",
		"a port with a zero before it":           "http://example.com:080/",
		"a port with a sign":                     "http://example.com:+80/",
		"no port behind the colon":               "http://example.com:/",
		"two ports":                              "http://example.com:80:80/",
		"a port of full-width digits":            "http://example.com:８０/",
		"a line break":                           "http://example.com/\r\nHost: x",
		"a tab in the host":                      "http://exam\tple.com/",
		"a space in the host":                    "http://exam ple.com/",
		"a space before":                         " http://example.com/",
		"a space behind":                         "http://example.com/ ",
		"NUL":                                    "http://example.com\x00.evil.example/",
		"a character that turns the direction":   "http://example.com/\u202egnp.exe",
		"an invisible character in the host":     "http://exam\u200bple.com/",
		"not UTF-8":                              "http://example.com/\xff",
		"a percent-encoded host":                 "http://%65xample.com/",
		"a broken escape":                        "http://example.com/%zz",
		"a literal of v4, though public":         "http://93.184.216.34/",
		"a literal with a dot at its end":        "http://127.0.0.1./",
		"a literal of v6, though public":         "http://[2a00:1450::1]/",
		"brackets around a name":                 "http://[example.com]/",
		"decimal":                                "http://2130706433/",
		"hexadecimal behind a name":              "http://a.0x7f/",
		"a number behind a name":                 "http://example.1/",
		"octal":                                  "http://0177.0.0.01/",
		"full-width digits":                      "http://１２７.０.０.１/",
		"circled digits":                         "http://①②⑦.⓪.⓪.①/",
		"ideographic full stops":                 "http://127。0。0。1/",
		"one label":                              "http://localhost/",
		"one label with a dot":                   "http://metadata./",
		"a dot at the end":                       "http://example.com./",
		"a dot at the beginning":                 "http://.example.com/",
		"two dots":                               "http://example..com/",
		"a label too long":                       "http://" + strings.Repeat("a", 64) + ".example/",
		"a name too long":                        "http://" + strings.Repeat("a.", 125) + "example/",
		"a name too long once it is ASCII":       "http://" + strings.Repeat("ü.", 60) + "example/",
		"an underscore":                          "http://a_b.example.com/",
		"a hyphen at a label's end":              "http://a-.example.com/",
		"a hyphen at a label's beginning":        "http://-a.example.com/",
		"a label that only looks like Punycode":  "http://xn--a.example/",
		"Punycode of ASCII":                      "http://xn--example-.com/",
		"a right-to-left label that turns":       "http://א1a.example/",
		"a name of this machine":                 "http://x.localhost/",
		"a name of this network":                 "http://printer.local/",
		"a name inside":                          "http://metadata.google.internal/computeMetadata/v1/",
		"a name of a home":                       "http://nas.home.arpa/",
		"a hidden service":                       "http://abc.onion/",
		"an address too long":                    "http://example.com/" + strings.Repeat("a", 2<<10-18),
		"an address too long once it is encoded": "http://example.com/" + strings.Repeat("ü", 900),
	} {
		if got, err := egress.Address(raw); fault(t, err) != egress.Unreadable {
			t.Errorf("%s: %q is taken as %q", name, raw, got)
		}
	}
}

func TestRedirectsAreReadAnew(t *testing.T) { // SYSTEM N5
	const from = "https://a.example/dir/page?q=1"
	for location, want := range map[string]string{
		"/x":                             "https://a.example/x",
		"x":                              "https://a.example/dir/x",
		"?x":                             "https://a.example/dir/page?x",
		"":                               "https://a.example/dir/page?q=1",
		"../../../x":                     "https://a.example/x",
		"//b.example/x":                  "https://b.example/x",
		"https://b.example/x#y":          "https://b.example/x",
		"https://b.example:443":          "https://b.example/",
		"http://a.example/":              "", // down from https
		"http://a.example:443/":          "",
		"https://b.example:8443/":        "",
		"https://u@b.example/":           "",
		"//127.0.0.1/":                   "",
		"//[::1]/":                       "",
		`/\b.example`:                    "",
		`\\b.example`:                    "",
		"///b.example/":                  "",
		"https:b.example":                "",
		"file:///etc/passwd":             "",
		"javascript:alert(1)":            "",
		" /x":                            "",
		"/x\t":                           "",
		"/%zz":                           "",
		"/" + strings.Repeat("a", 2<<10): "",
	} {
		if got, err := egress.Follow(from, location); got != want && !(want == "" && err != nil) || (err != nil) != (want == "") {
			t.Errorf("%q: got %q, %v; want %q", location, got, err, want)
		}
	}
	if got, err := egress.Follow("http://a.example/", "https://a.example/"); got != "https://a.example/" || err != nil {
		t.Errorf("up to https: %q, %v", got, err)
	}
}

// numberLike is what some reader takes for a number at a host's end.
var numberLike = regexp.MustCompile(`^([0-9]+|0[xX][0-9a-fA-F]*)$`)

// sound says what is wrong with an accepted address, by other means than its acceptance.
func sound(got string) string {
	u, err := url.Parse(got)
	if err != nil {
		return err.Error()
	}
	host := u.Hostname()
	last := host[strings.LastIndex(host, ".")+1:]
	_, literal := netip.ParseAddr(host)
	again, err := egress.Address(got)
	switch {
	case again != got || err != nil:
		return "it is not its own spelling: " + again
	case u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Fragment != "" || u.Opaque != "":
		return "it has more than scheme, host, path and query"
	case u.Port() != "" && u.Port() != "80" && u.Port() != "443":
		return "port " + u.Port()
	case literal == nil || inetAton(host) != nil || numberLike.MatchString(last) || !strings.Contains(host, "."):
		return "its host is a literal, or no name: " + host
	case strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }):
		return "it has characters that are read in two ways"
	case len(got) > egress.MaxURL || len(host) > 253:
		return "it is too long: " + strconv.Itoa(len(got))
	}
	return ""
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{
		"http://example.com/a?b#c", "https://münchen.example:443/", "http://0x7f.1/", "http://[::1]:80/", `http://a.b\@c.d/`,
		"http://a@b.c/", "https://１２７.0.0.1/", "http:/a.b", "https://xn--mnchen-3ya.de", "http://a.b:80:80/", "https://a.b/%00?\"<é",
		"https://K.example/", "https://a.b/\u2028",
	} {
		f.Add(s, "//b.example/x")
	}
	f.Fuzz(func(t *testing.T, raw, location string) {
		got, err := egress.Address(raw)
		if err != nil {
			return
		}
		if wrong := sound(got); wrong != "" {
			t.Errorf("%q is taken as %q: %s", raw, got, wrong)
		}
		if next, err := egress.Follow(got, location); err == nil {
			if wrong := sound(next); wrong != "" || strings.HasPrefix(got, "https:") && !strings.HasPrefix(next, "https:") {
				t.Errorf("%q leads from %q to %q: %s", location, got, next, wrong)
			}
		}
	})
}

// TestAddressesAgainstTheURLStandard takes the inputs of the web platform tests: the host and port that we would ask are those that a
// browser would, or we refuse; for addresses in full, and for redirects from a base.
func TestAddressesAgainstTheURLStandard(t *testing.T) { // SYSTEM N5
	dir := os.Getenv("REDOUBT_CORPORA")
	if dir == "" {
		t.Skip("REDOUBT_CORPORA is unset: set it to a folder that holds url-wpt.json, the web platform tests' urltestdata.json")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "url-wpt.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Input, Protocol, Hostname, Port, Username, Password, Pathname, Search string

		Base    *string
		Failure bool
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	taken, led, readable, differ := 0, 0, 0, 0
	for _, c := range cases {
		in := c.Input
		if c.Base == nil {
			got, err := egress.Address(in)
			if u, wrong := url.Parse(in); wrong == nil && (u.Scheme == "http" || u.Scheme == "https") {
				readable++
				if c.Failure || u.Hostname() != c.Hostname {
					differ++ // what a program that trusts net/url would dial, and a browser would not
				}
			}
			if err != nil {
				continue
			}
			taken++
			if wrong := standard(got, c.Failure, c.Protocol, c.Hostname, c.Port); wrong != "" || c.Username+c.Password != "" {
				t.Errorf("%q is taken as %q: %s", in, got, wrong)
			}
			continue
		}
		got, err := egress.Follow(*c.Base, in)
		if err != nil {
			continue
		}
		led++
		if wrong := standard(got, c.Failure, c.Protocol, c.Hostname, c.Port); wrong != "" || c.Username+c.Password != "" {
			t.Errorf("%q leads from %q to %q: %s", in, *c.Base, got, wrong)
		}
	}
	t.Logf("%d cases; net/url reads %d as http or https, of them %d otherwise than the standard; taken %d, followed %d", len(cases), readable, differ, taken, led)
	if len(cases) < 500 || taken < 10 || led < 10 || differ < 10 {
		t.Error("too few cases: the corpus is not the one that is meant")
	}
}

func standard(got string, failure bool, protocol, hostname, port string) string {
	u, err := url.Parse(got)
	switch {
	case err != nil:
		return err.Error()
	case failure:
		return "the standard refuses it"
	case u.Scheme+":" != protocol || u.Hostname() != hostname || u.Port() != port:
		return "the standard reads " + protocol + "//" + hostname + ":" + port
	}
	return ""
}
