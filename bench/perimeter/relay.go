package perimeter

import (
	"errors"
	"net"
	"sync"
	"time"
)

// maxParcels bounds what is on its way in one direction of a connection: a GiB, far above what delay times bandwidth makes on one
// machine, so that the relay is a long line and not a narrow one.
const maxParcels = 1 << 30 / piece

// A relay hands connections on to an address, late. The line that it plays has no end to its bandwidth and loses nothing: kernels
// on both sides believe that their peer is near, so that what limits a stream is what its protocol allows to be under way.
type relay struct {
	to    string
	delay time.Duration // of each direction
	room  int           // parcels on their way at once, each way; then their sender waits. Zero means maxParcels
}

func (l relay) serve(from net.Listener) error {
	for {
		near, err := from.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go l.join(near)
	}
}

func (l relay) join(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", l.to)
	if err != nil {
		return // as if nobody listened here either
	}
	defer far.Close()
	var both sync.WaitGroup
	both.Go(func() { l.carry(near, far) })
	both.Go(func() { l.carry(far, near) })
	both.Wait()
}

// A parcel is on its way until due.
type parcel struct {
	due   time.Time
	bytes *[piece]byte
	n     int
}

var parcels = sync.Pool{New: func() any { return new([piece]byte) }}

// carry takes from one side as fast as it comes and gives to the other when it is time. The end of one direction arrives late, too.
func (l relay) carry(from, to net.Conn) {
	queue := make(chan parcel, or(l.room, maxParcels))
	delivered := make(chan struct{})
	go func() { deliver(queue, from, to); close(delivered) }()
	for err := error(nil); err == nil; {
		p := parcel{bytes: parcels.Get().(*[piece]byte)}
		p.n, err = from.Read(p.bytes[:])
		p.due = time.Now().Add(l.delay)
		queue <- p
	}
	close(queue)
	<-delivered
}

func deliver(queue <-chan parcel, from, to net.Conn) {
	var err error
	for p := range queue {
		time.Sleep(time.Until(p.due))
		if err == nil {
			if _, err = to.Write(p.bytes[:p.n]); err != nil {
				from.Close() // nobody takes it any more
			}
		}
		parcels.Put(p.bytes)
	}
	to.(*net.TCPConn).CloseWrite() // an error is that it is closed already
}
