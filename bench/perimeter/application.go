package perimeter

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// greeting is what the small request is answered with.
const greeting = "forty bytes, as an answer that is small.\n"

// block is what an application writes at once.
const block = 64 << 10

// application is the same behind every contender.
func application() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /small", small)
	m.HandleFunc("GET /down/{bytes}", pour)
	m.HandleFunc("POST /up", swallow)
	m.HandleFunc("GET /events/{count}", streamed)
	return m
}

func small(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = plainText
	io.WriteString(w, greeting)
}

var plainText = []string{"text/plain; charset=utf-8"}

// pour sends so many bytes, which do not shrink and are not made anew.
func pour(w http.ResponseWriter, r *http.Request) {
	left, err := strconv.ParseInt(r.PathValue("bytes"), 10, 64)
	if err != nil || left < 0 || left > MaxBytes {
		http.Error(w, "how many?", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(left, 10))
	for left > 0 {
		n, err := w.Write(noise[:min(left, block)])
		if left -= int64(n); err != nil {
			return // the client has gone
		}
	}
}

var noise = func() []byte {
	b := make([]byte, block)
	for i := uint64(0); i < block; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], (i+1)*0x9E3779B97F4A7C15)
	}
	return b
}()

// swallow tells how much it was sent.
func swallow(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, "it broke off", http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%d\n", n)
}

// pause is between two events.
const pause = 10 * time.Millisecond

// streamed sends events that say when they were sent.
func streamed(w http.ResponseWriter, r *http.Request) {
	count, err := strconv.Atoi(r.PathValue("count"))
	if err != nil || count < 0 || count > MaxEvents {
		http.Error(w, "how many?", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	for range count {
		time.Sleep(pause)
		fmt.Fprintf(w, "data: %d\n\n", time.Now().UnixNano())
		if out.Flush() != nil {
			return // the client has gone
		}
	}
}
