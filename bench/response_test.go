package bench

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func read(text string) (status int, body string, rest string, err error) {
	r := bufio.NewReaderSize(strings.NewReader(text), maxLine)
	var sink bytes.Buffer
	status, length, err := readAnswer(r, &sink)
	if err == nil && length != sink.Len() {
		return status, "", "", errors.New("the length is not that of the body")
	}
	left, _ := io.ReadAll(r)
	return status, sink.String(), string(left), err
}

func TestAnswersAreRead(t *testing.T) {
	for name, c := range map[string]struct {
		text       string
		status     int
		body, rest string
	}{
		"with a length":               {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", ""},
		"with what follows":           {"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 ", 200, "hi", "HTTP/1.1 "},
		"in chunks":                   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\nnext", 200, "abc0123456789", "next"},
		"empty":                       {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", ""},
		"without content":             {"HTTP/1.1 204 No Content\r\n\r\n", 204, "", ""},
		"an error":                    {"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx", 404, "x", ""},
		"without a reason":            {"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx", 200, "x", ""},
		"saying that it stays open":   {"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", 200, "x", ""},
		"longer than the read buffer": {"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n" + strings.Repeat("y", 40000), 200, strings.Repeat("y", 40000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, body, rest, err := read(c.text)
			if err != nil || status != c.status || body != c.body || rest != c.rest {
				t.Errorf("got %d, %.40q, then %q, error %v; want %d, %.40q, then %q", status, body, rest, err, c.status, c.body, c.rest)
			}
		})
	}
}

func TestAnswersThatAreRefused(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":                        {"", io.ErrUnexpectedEOF},
		"half a head":                    {ok + "Content-Le", io.ErrUnexpectedEOF},
		"half a body":                    {ok + "Content-Length: 10\r\n\r\nhalf", io.ErrUnexpectedEOF},
		"half a chunk":                   {ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nab", io.ErrUnexpectedEOF},
		"another protocol":               {"HTTP/2.0 200 OK\r\n\r\n", errHead},
		"an older protocol":              {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", errHead},
		"no number as status":            {"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n", errHead},
		"a line that ends in LF alone":   {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", errHead},
		"a field without a colon":        {ok + "Content-Length 0\r\n\r\n", errHead},
		"a folded line":                  {ok + "A: b\r\n c: d\r\nContent-Length: 0\r\n\r\n", errHead},
		"no length":                      {ok + "\r\nbody", errFraming},
		"two lengths":                    {ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy", errFraming},
		"a length and chunks":            {ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", errFraming},
		"a negative length":              {ok + "Content-Length: -1\r\n\r\n", errFraming},
		"a length with a sign":           {ok + "Content-Length: +1\r\n\r\nx", errFraming},
		"a length beyond the limit":      {ok + "Content-Length: 99999999\r\n\r\n", errFraming},
		"a length beyond numbers":        {ok + "Content-Length: 18446744073709551616\r\n\r\n", errFraming},
		"another encoding":               {ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", errFraming},
		"the end of the connection":      {ok + "Connection: close\r\nContent-Length: 0\r\n\r\n", errFraming},
		"one that is only informational": {"HTTP/1.1 103 Early Hints\r\n\r\n", errFraming},
		"a chunk that is no number":      {ok + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", errChunk},
		"a chunk with an extension":      {ok + "Transfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n", errChunk},
		"a chunk longer than it says":    {ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n", errChunk},
		"a trailer":                      {ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n", errChunk},
		"chunks beyond the limit":        {ok + "Transfer-Encoding: chunked\r\n\r\n1000001\r\n", errTooLong},
		"a line beyond the limit":        {ok + "A: " + strings.Repeat("b", maxLine) + "\r\n\r\n", errTooLong},
		"a head beyond the limit":        {ok + strings.Repeat("A: "+strings.Repeat("b", 1000)+"\r\n", 70) + "\r\n", errTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, _, err := read(c.text); !errors.Is(err, c.want) {
				t.Errorf("got error %v, want %v", err, c.want)
			}
		})
	}
}

// Whatever this reader takes, net/http must not read differently.
func FuzzAnswer(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
	f.Add("HTTP/1.1 204 No Content\r\n\r\n")
	f.Add("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nX: y\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		status, body, _, err := read(text)
		if err != nil {
			return
		}
		theirs, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), &http.Request{Method: http.MethodGet})
		if err != nil {
			return // it has more opinions about the fields that do not matter here
		}
		want, err := io.ReadAll(theirs.Body)
		if err != nil || theirs.StatusCode != status || string(want) != body {
			t.Errorf("read %d with %q; net/http reads %d with %q, error %v", status, body, theirs.StatusCode, want, err)
		}
	})
}
