package egress_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/input/egress"
)

func TestConfigIsCheckedAtOnce(t *testing.T) {
	_, err := egress.New(egress.Config{AtOnce: 1025, PerHost: -1, Total: time.Hour, Inside: []netip.Prefix{{}, netip.MustParsePrefix("::ffff:10.0.0.0/104")}})
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{"configuring egress", "AtOnce is from 1 to 1024", "PerHost is", "Total is at most 1m", "Inside[0] is", "Inside[1] is"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
	for _, good := range []egress.Config{{}, {AtOnce: 1}, {AtOnce: 1024, PerHost: 1024, Total: time.Minute}} {
		if _, err := egress.New(good); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for _, bad := range []egress.Config{{AtOnce: -1}, {AtOnce: 2, PerHost: 3}, {Total: -1}, {Total: time.Minute + 1}} {
		if _, err := egress.New(bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func TestAWantIsChecked(t *testing.T) {
	w := newWorld(t)
	w.site("a.example", "93.184.216.34", html(""))
	c := w.client(egress.Config{})
	for _, bad := range []egress.Want{
		{}, {Types: []string{"text/html"}}, {Bytes: 1}, {Types: []string{"text/html"}, Bytes: egress.MaxBody + 1},
		{Types: make([]string, egress.MaxTypes+1), Bytes: 1}, {Types: []string{"text/html"}, Bytes: -1},
	} {
		if _, err := c.Get(t.Context(), "http://a.example/", bad); err == nil || !strings.HasPrefix(err.Error(), "asking an address: ") {
			t.Errorf("%+v: got %v", bad, err)
		}
	}
	types := append(make([]string, egress.MaxTypes-1), "text/html")
	if _, err := c.Get(t.Context(), "http://a.example/", egress.Want{Types: types, Bytes: egress.MaxBody}); err != nil {
		t.Errorf("the most that may be wanted: %v", err)
	}
}

func TestFaultsAreAClosedList(t *testing.T) {
	seen := map[egress.Fault]bool{}
	for _, f := range egress.Faults {
		if f.Error() == "" || seen[f] || strings.ContainsAny(f.Error(), "%:/") {
			t.Errorf("%q is no name of its own", f)
		}
		seen[f] = true
	}
}
