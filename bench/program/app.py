"""An application that takes some seconds to boot, as app.mjs does: it makes an index before it listens."""

import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DOCUMENTS = 20_000
WORDS_EACH = 40
PORT = 8080


def make_index():
    index = {}
    state = 1
    for document in range(DOCUMENTS):
        for _ in range(WORDS_EACH):
            state = (state * 1_103_515_245 + 12_345) & 0xFFFFFFFF
            index.setdefault(f"word-{(state >> 8) % 5_000}", []).append(document)
    return index


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"{len(words)} words\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def end(*_):
    sys.exit(0)


signal.signal(signal.SIGINT, end)
signal.signal(signal.SIGTERM, end)
words = sorted(make_index())
server = ThreadingHTTPServer(("0.0.0.0", PORT), Handler)
print("windhover-bench: running", flush=True)
server.serve_forever()
