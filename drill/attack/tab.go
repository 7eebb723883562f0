package attack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	download "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// ErrNoBrowser is what attacks in a browser fail with on a machine that has none.
var ErrNoBrowser = errors.New("there is no Chromium on this machine; install one with: apt-get install -y --no-install-recommends chromium")

// startLimit bounds the start of a browser, on a busy machine.
const startLimit = 30 * time.Second

// A Browser is one real Chromium for all attacks of a drill. Each attack has tabs in a profile of its own there, as if each were on
// another computer. It starts with the first tab, and once more after a crash; it ends with Close, and with whoever started it. It may be
// used concurrently.
type Browser struct {
	path string

	mu      sync.Mutex
	running context.Context // nil for none
	stop    context.CancelFunc
}

// NewBrowser looks for a Chromium. It starts nothing yet.
func NewBrowser() (*Browser, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return &Browser{path: path}, nil
		}
	}
	return nil, ErrNoBrowser
}

// flags are for a browser that sees this machine's loopback and nothing else. So it can believe every certificate that it meets there: the
// copy's authority was made a minute ago, and none but copies and attackers of this drill are to be met.
var flags = map[string]any{
	"ignore-certificate-errors": true, "host-resolver-rules": "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
	"disable-quic": true, "disable-component-update": true, "disable-gpu": true, "hide-scrollbars": true, "mute-audio": true, "no-pings": true,
}

// start gives the browser that runs, or a new one.
func (b *Browser) start() (context.Context, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running != nil && alive(b.running) {
		return b.running, nil
	}
	b.end()
	profile, err := newProfile()
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(b.path), chromedp.UserDataDir(profile),
		chromedp.NoSandbox) // the drill's user may be root
	for name, value := range flags {
		options = append(options, chromedp.Flag(name, value))
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	running, close := chromedp.NewContext(allocator)
	b.stop = func() { close(); stop(); os.RemoveAll(profile) }
	slow := time.AfterFunc(startLimit, b.stop)
	defer slow.Stop()
	if err := chromedp.Do(running); err != nil {
		b.end()
		return nil, fmt.Errorf("starting the browser: %w", err)
	}
	b.running = running
	return running, nil
}

// preferences let a cookie go along to another site if it says so itself: not every browser thinks better of it, and what is measured is the
// cookie.
const preferences = `{"profile": {"cookie_controls_mode": 0, "block_third_party_cookies": false}}`

// newProfile makes a folder for what the browser remembers.
func newProfile() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "redoubt-drill-browser-"); err == nil {
		if err = os.Mkdir(filepath.Join(dir, "Default"), 0o700); err == nil {
			err = os.WriteFile(filepath.Join(dir, "Default", "Preferences"), []byte(preferences), 0o600)
		}
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("making a profile for the browser: %w", err), os.RemoveAll(dir))
	}
	return dir, nil
}

// alive reports whether a browser can still be spoken to.
func alive(running context.Context) bool {
	select {
	case <-running.Done():
		return false
	case <-chromedp.FromContext(running).Browser.LostConnection:
		return false
	default:
		return true
	}
}

// end stops what runs; b.mu is held.
func (b *Browser) end() {
	if b.stop != nil {
		b.stop()
	}
	b.running, b.stop = nil, nil
}

// Close ends the browser and everything in it, and waits for that.
func (b *Browser) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end()
}

// Tab opens a tab in which nobody has ever been. It is closed when ctx ends, and nothing is remembered; it saves no file.
func (b *Browser) Tab(ctx context.Context) (context.Context, error) {
	running, err := b.start()
	if err != nil {
		return nil, err
	}
	tab, close := chromedp.NewContext(running, chromedp.WithNewBrowserContext())
	context.AfterFunc(ctx, close)
	err = chromedp.Do(tab)
	if err == nil {
		deny := download.SetDownloadBehaviorParams{Behavior: download.SetDownloadBehaviorBehaviorDeny, BrowserContextID: chromedp.FromContext(tab).BrowserContextID}
		_, err = chromedp.CallBrowser(tab, download.SetDownloadBehavior, deny)
	}
	if err != nil {
		close()
		return nil, fmt.Errorf("opening a tab: %w", err)
	}
	return tab, nil
}
