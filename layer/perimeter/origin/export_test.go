package origin

import "net/http"

// Loopback is what judges addresses when they are dialled.
var Loopback = loopback

// Head is a request's head as the application gets it.
func (o *Origin) Head(r *http.Request, v Visitor) ([]byte, error) {
	return o.appendHead(nil, r, v, frame(r))
}
