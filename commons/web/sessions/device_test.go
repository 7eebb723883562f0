package sessions_test

import (
	"strings"
	"testing"

	"github.com/redoubt-dev/redoubt/commons/web/sessions"
)

func TestDevicesAreRecognised(t *testing.T) {
	for _, c := range []struct {
		agent, want string
		handheld    bool
	}{
		{"Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0", "Firefox on Linux", false},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1", "Safari on iPhone", true},
		{"Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0 Mobile/15E148 Safari/604.1", "Chrome on iPad", true},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge on Windows", false},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15", "Safari on Mac", false},
		{"Mozilla/5.0 (Linux; Android 15; SM-S931B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36", "Samsung Internet on Android", true},
		{"Mozilla/5.0 (X11; CrOS x86_64 16000.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36", "Chrome on ChromeOS", false},
		{"curl/8.9.1", "curl", false},
		{"Something (Linux)", "Unknown browser on Linux", false},
		{"", "Unknown device", false},
		{"<script>alert(1)</script>", "Unknown device", false},
		{strings.Repeat(" ", 4096) + "Firefox/142.0", "Unknown device", false}, // beyond what is read
	} {
		if got := sessions.Device(c.agent); got != c.want {
			t.Errorf("%q is %q, want %q", c.agent, got, c.want)
		}
		if got := sessions.Handheld(c.agent); got != c.handheld {
			t.Errorf("%q is handheld: %v, want %v", c.agent, got, c.handheld)
		}
	}
}

func TestOthersLeaveOutTheCurrentSession(t *testing.T) {
	v := sessions.View{Sessions: []sessions.Session{{Current: true}, {}, {}}}
	if got := v.Others(); got != 2 {
		t.Errorf("got %d, want 2", got)
	}
}

func FuzzDevice(f *testing.F) {
	f.Add("Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0")
	f.Add("\xff<")
	f.Fuzz(func(t *testing.T, agent string) {
		if got := sessions.Device(agent); got == "" || strings.ContainsAny(got, "<>\"'&") || len(got) > 40 {
			t.Errorf("%q is %q", agent, got)
		}
	})
}
