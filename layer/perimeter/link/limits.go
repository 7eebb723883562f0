package link

import "time"

// Every limit of the protocol. Both ends hold themselves and the other to the same ones: a peer that goes beyond is not slow or
// careless, it is not ours, and the link ends. Config changes the few that are a matter of taste. SYSTEM T6
const (
	MaxFrame   = 64 << 10 // bytes of DATA in one frame
	MaxHead    = 96 << 10 // bytes of one head, and of trailers
	MaxLines   = 512      // header lines in a head, and in trailers
	MaxControl = 16 << 10 // bytes of one control message
	MaxID      = 64       // bytes of a request's name
	MaxToken   = 8 << 10  // bytes of one token
	MaxTokens  = 4096     // tokens that a link remembers
	MaxInforms = 8        // 1xx answers to one request
	MaxInform  = 8 << 10  // bytes of the head of each

	MaxTokenBytes = 4 << 20   // of all tokens that a link remembers
	MaxQueue      = 256 << 10 // what waits to be written; beyond it, writers wait and replies to a peer that does not read end the link
	MaxMessages   = 64        // control messages that wait for Config.Control

	InitialWindow = 64 << 10 // what a stream may send before its receiver has taken anything
	MaxWindow     = 32 << 20 // to which it grows
	MinGrant      = InitialWindow / 2

	DefaultMaxStreams = 1024
	DefaultBudget     = 64 << 20

	DefaultPingAfter   = 2 * time.Second
	DefaultPingTimeout = 5 * time.Second
	DefaultPatience    = 10 * time.Second
	DefaultResponse    = 60 * time.Second

	// MaxStream is the last stream of a link: then it drains, and its connector dials again.
	MaxStream = 1<<31 - 1

	// Resets and pings may come in a burst, and then at a rate each second. The edge's end keeps to half of it by itself, so
	// that clients who go away in crowds cannot make it cross the line (CVE-2023-44487 is the crowd that does so on purpose).
	ResetBurst, ResetRate = 8192, 4096
	PingBurst, PingRate   = 32, 8

	batchSize   = 128 << 10 // DATA that is taken into one write
	dataSize    = 32 << 10  // DATA of one stream before the next has its turn
	quickWindow = 4 << 20   // up to which a window grows fourfold, if half of it is emptied within one round trip
	smallWrite  = 8 << 10   // what is copied, not waited for
	aheadSize   = 64 << 10  // up to which more is copied as well, while nobody waits for a turn
	firstWrite  = 4 << 10   // how much of an answer is kept back to learn its length; as net/http's HTTP/2
	idleWorker  = 64        // goroutines kept for the next request
	resetPause  = 50 * time.Millisecond
	pingPause   = time.Second / 4 // between pings at least, whatever Config says: well below PingRate
	farewell    = time.Second     // for the last words of a link that ends
	slowWindow  = time.Second / 4 // half a window drained no faster than this is not worth its memory
)

// A bucket counts events: so many at once, then so many each second.
type bucket struct {
	level float64
	last  time.Time
}

func (b *bucket) take(burst, rate float64) bool {
	now := time.Now()
	if b.last.IsZero() {
		b.level = burst
	}
	b.level = min(burst, b.level+now.Sub(b.last).Seconds()*rate)
	if b.last = now; b.level < 1 {
		return false
	}
	b.level--
	return true
}
