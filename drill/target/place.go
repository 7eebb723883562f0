package target

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/redoubt-dev/redoubt/drill/knockout"
)

var _ knockout.Place = (*Copy)(nil)

// Ask sends one request for a proof, and follows nothing. Of who: "bob" signs in when he is first asked for, and stays; "new bob" signs
// in again; "bob's key" is a program with his API key; "" is a stranger of the office, in a browser that has never been here; "outside" is
// one from elsewhere, and "port" one who comes to the application's own port. The last arguments are names and values of headers in turn,
// where an empty value takes a header away. A form without the field "_token" is sent with the token of our pages. It is for one goroutine at
// a time for each of who.
func (c *Copy) Ask(ctx context.Context, who, method, path string, form map[string]string, header ...string) (status int, answer map[string][]string, body string, err error) {
	if form == nil {
		return c.put(ctx, who, method, path, nil, header)
	}
	values := url.Values{}
	for name, value := range form {
		values.Set(name, value)
	}
	return c.put(ctx, who, method, path, values, header)
}

// Send is Ask with a body that is sent as it is.
func (c *Copy) Send(ctx context.Context, who, method, path, kind string, content []byte) (status int, answer map[string][]string, body string, err error) {
	return c.put(ctx, who, method, path, &Body{Type: kind, Content: content}, nil)
}

func (c *Copy) put(ctx context.Context, who, method, path string, sent any, header []string) (status int, answer map[string][]string, body string, err error) {
	client, err := c.somebody(ctx, who)
	if err != nil {
		return 0, nil, "", err
	}
	if who == "port" {
		if c.Port() == "" {
			return 0, nil, "", errors.New("the application listens on no port")
		}
		path = "http://" + c.Port() + path
	}
	r, err := client.Request(ctx, method, path, sent)
	if err != nil {
		return 0, nil, "", err
	}
	set(r.Header, header)
	a, err := client.Do(r)
	return a.Status, a.Header, a.Body, err
}

func set(h http.Header, pairs []string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if h.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			h.Del(pairs[i])
		}
	}
}

// somebody is who asks.
func (c *Copy) somebody(ctx context.Context, who string) (*Client, error) {
	name, again := strings.CutPrefix(who, "new ")
	owner, isKey := strings.CutSuffix(who, "'s key")
	switch {
	case who == "" || who == "port":
		return c.Client(Inside), nil
	case who == "outside":
		return c.Client(Outside), nil
	case isKey:
		client := c.Client(Inside)
		client.Bearer = c.Key(owner)
		return client, nil
	}
	c.asking.Lock()
	defer c.asking.Unlock()
	if known := c.asked[name]; known != nil && !again {
		return known, nil
	}
	client := c.Client(Inside)
	if err := client.SignIn(ctx, name); err != nil {
		return nil, err
	}
	if c.asked == nil {
		c.asked = map[string]*Client{}
	}
	c.asked[name] = client
	return client, nil
}
