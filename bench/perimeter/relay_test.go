package perimeter

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// echoed starts a server that sends everything back, and a relay to it.
func echoed(t *testing.T, delay time.Duration) net.Conn {
	t.Helper()
	server, line := listening(t), listening(t)
	go func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(conn, conn)
				conn.(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, conn)
				conn.Close()
			}()
		}
	}()
	go relay{to: server.Addr().String(), delay: delay}.serve(line)
	conn, err := net.Dial("tcp", line.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

func listening(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestALongLineDelaysAndLosesNothing(t *testing.T) {
	const delay = 30 * time.Millisecond
	conn := echoed(t, delay)
	began := time.Now()
	if _, err := conn.Write([]byte("a")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 2*delay {
		t.Errorf("a round trip took %v, want %v at least", took, 2*delay)
	}
	want := bytes.Repeat(noise, 100)
	go func() {
		conn.Write(want)
		conn.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back of %d, or others (%v)", len(got), len(want), err)
	}
}

func TestALongLineToNowhereEnds(t *testing.T) {
	gone := listening(t)
	gone.Close()
	line := listening(t)
	go relay{to: gone.Addr().String(), delay: time.Millisecond}.serve(line)
	conn, err := net.Dial("tcp", line.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes from nowhere (%v)", n, err)
	}
}

func TestALongLineEndsWhenOneSideIsCut(t *testing.T) {
	server, line := listening(t), listening(t)
	go relay{to: server.Addr().String(), delay: time.Millisecond}.serve(line)
	near, err := net.Dial("tcp", line.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	far.(*net.TCPConn).SetLinger(0)
	far.Close()
	near.SetDeadline(time.Now().Add(time.Minute))
	if n, err := near.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes from one who is gone (%v)", n, err)
	}
}

func TestALongLineHoldsNoMoreThanItsRoom(t *testing.T) {
	const room, kernels = 4, 32 << 20 // what the buffers of four sockets may hold
	server, line := listening(t), listening(t)
	go relay{to: server.Addr().String(), delay: time.Millisecond, room: room}.serve(line)
	near, err := net.Dial("tcp", line.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := server.Accept() // and does not read
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	sent := 0
	for sent <= 2*kernels {
		near.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := near.Write(noise)
		if sent += n; err != nil {
			break
		}
	}
	if sent > kernels+room*piece {
		t.Errorf("it took %d bytes that nobody wants", sent)
	}
}
