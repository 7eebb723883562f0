"""An application on http.server that knows Redoubt by the page docs/assertion.md alone: assertion.py is taken from there."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from assertion import Assertions, Refused

edge = Assertions(os.environ["KEYS_URL"], os.environ["APPLICATION"], os.environ["PUBLIC_HOST"])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        try:
            claims = edge.who_asks(self.command, self.path, self.headers.get_all("Redoubt-Assertion", []))
            status, said = 200, {k: claims.get(k) for k in ("sub", "by", "ip")}
        except Refused as refused:
            status, said = 401, str(refused)
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
