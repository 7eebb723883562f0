package origin

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// sound: net/http takes a name with a space before its colon, which another reader takes for the name without it.
func sound(h http.Header) bool {
	for name, values := range h {
		if !token(name) {
			return false
		}
		for _, value := range values {
			if !text(value) {
				return false
			}
		}
	}
	return true
}

// reply copies the answer, and says for how long the connection may be kept; zero is not at all.
func (x *exchange) reply(answer *http.Response) (keep time.Duration) {
	h := x.w.Header()
	copyHeader(h, answer.Header)
	announced := announce(h, answer.Trailer)
	x.w.WriteHeader(answer.StatusCode)
	if err := x.copyAnswer(answer); err != nil {
		if x.r.Context().Err() == nil {
			x.o.config.Log.Warn("answer cut short", "cause", err.Error())
		}
		panic(http.ErrAbortHandler)
	}
	trail(h, answer.Trailer, announced)
	if x.sent != nil {
		x.settle()
		return 0 // what the application has left of the body would be its next request
	}
	if answer.Close || answer.ProtoMajor != 1 || answer.ProtoMinor < 1 || x.c.r.Buffered() > 0 {
		return 0
	}
	return kept(answer.Header)
}

// copyAnswer passes on at once what has no length, what is a stream of events, and what the application is slow to go on with.
func (x *exchange) copyAnswer(answer *http.Response) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	streams := answer.ContentLength < 0 || strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream")
	if streams {
		if err := x.flush(); err != nil {
			return err
		}
	}
	left := answer.ContentLength
	for {
		x.c.SetReadDeadline(time.Now().Add(x.o.config.Idle))
		n, err := answer.Body.Read(*buffer)
		left -= int64(n)
		if n > 0 {
			if _, err := x.w.Write((*buffer)[:n]); err != nil {
				return fmt.Errorf("sending the answer: %w", err)
			}
		}
		if n > 0 && (streams || left > 0 && n < len(*buffer)) {
			if err := x.flush(); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the answer: %w", plain(err))
		}
	}
}

func (x *exchange) flush() error {
	if err := http.NewResponseController(x.w).Flush(); err != nil {
		return fmt.Errorf("sending the answer: %w", err)
	}
	return nil
}

// copyHeader leaves out what belongs to one connection.
func copyHeader(to, from http.Header) {
	named := tokens(from["Connection"])
	for name, values := range from {
		if name != "Content-Length" && hop[name] {
			continue
		}
		if len(named) > 0 && isNamed(name, named) {
			continue
		}
		to[name] = values
	}
}

func isNamed(name string, named []string) bool {
	for _, n := range named {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// announce declares the trailers that the application declared, and returns them.
func announce(h, trailer http.Header) map[string]bool {
	if len(trailer) == 0 {
		return nil
	}
	announced := map[string]bool{}
	for name := range trailer {
		if !hop[name] {
			announced[name] = true
			h.Add("Trailer", name)
		}
	}
	return announced
}

// trail sends the trailers that came, those that were not announced too, unless they would say something about the connection.
func trail(h, trailer http.Header, announced map[string]bool) {
	if !sound(trailer) {
		return
	}
	for name, values := range trailer {
		switch {
		case hop[name]:
		case announced[name]:
			h[name] = values
		default:
			h[http.TrailerPrefix+name] = values
		}
	}
}

// kept is how long the application says that it keeps the connection, less a second in which both could be wrong. Node.js closes
// after five seconds, and says so.
func kept(h http.Header) time.Duration {
	for _, t := range tokens(h["Keep-Alive"]) {
		name, value, _ := strings.Cut(t, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "timeout") {
			continue
		}
		seconds, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil || seconds < 0 || seconds > maxDeclaredKeep {
			return 0
		}
		return time.Duration(seconds)*time.Second - time.Second
	}
	return KeepIdle
}
