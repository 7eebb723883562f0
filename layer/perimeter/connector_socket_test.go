package perimeter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-dev/redoubt/layer/perimeter"
	"github.com/redoubt-dev/redoubt/layer/perimeter/enrol"
)

// SYSTEM P1: the kernel knows no listening socket of a process that serves an application. The process is killed, too: the edge
// notices, and its successor is linked at once.
func TestApplicationHoldsNoListeningSocket(t *testing.T) {
	if credential := os.Getenv("PERIMETER_TEST_CREDENTIAL"); credential != "" {
		applicationProcess(t, []byte(credential)) // until it is killed
	}
	t.Parallel()
	e := newFarEnd(t)
	credential, err := json.Marshal(e.provision())
	if err != nil {
		t.Fatal(err)
	}
	start := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], "-test.run=^TestApplicationHoldsNoListeningSocket$")
		cmd.Env = append(os.Environ(), "PERIMETER_TEST_CREDENTIAL="+string(credential))
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	cmd := start()
	within(t, 10*time.Second, "the application process is linked twice", func() bool { return e.available() == 2 })
	for target, want := range map[string]string{"/": "found true listening 0", "/listen": "found true listening 1"} {
		if got, err := e.get(t.Context(), target); err != nil || got != want {
			t.Errorf("%s: the application process reports %q, want %q (%v)", target, got, want, err)
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	within(t, prompt, "the edge has noticed", func() bool { return len(e.live()) == 0 })
	cmd = start()
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	within(t, 10*time.Second, "its successor is linked twice", func() bool { return e.available() == 2 })
}

// applicationProcess is the test binary started again as an application: it connects, and then lists its own sockets, for comparison
// also with one that listens.
func applicationProcess(t *testing.T, credential []byte) {
	var c enrol.Credential
	if err := json.Unmarshal(credential, &c); err != nil {
		t.Fatal(err)
	}
	connector, err := perimeter.NewConnector(perimeter.ConnectorConfig{
		Credential: &c,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/listen" {
				if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
					defer l.Close()
				}
			}
			fmt.Fprint(w, sockets())
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	connector.Run(context.Background())
}

// sockets describes this process's Internet sockets by the kernel's own list: how many it holds, and how many of them listen.
func sockets() string {
	own := map[string]bool{}
	files, _ := filepath.Glob("/proc/self/fd/*")
	for _, f := range files {
		if target, err := os.Readlink(f); err == nil && strings.HasPrefix(target, "socket:[") {
			own[strings.Trim(target, "socket:[]")] = true
		}
	}
	found, listening := 0, 0
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		content, err := os.ReadFile("/proc/self/net/" + table)
		if err != nil {
			continue // a kernel without IPv6
		}
		for line := range strings.Lines(string(content)) {
			f := strings.Fields(line)
			if len(f) < 10 || !own[f[9]] {
				continue
			}
			found++
			if f[3] == "0A" || f[3] == "07" { // LISTEN, and UDP that is bound but not connected
				listening++
			}
		}
	}
	return fmt.Sprintf("found %v listening %d", found > 0, listening)
}
