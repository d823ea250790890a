"""A small HTTP server for a workspace's port: run in the workspace's own network by test_proxy.py."""

import base64
import hashlib
import http.server
import json
import sys
import threading
import time

STATE = {"aborted": 0, "connections": 0}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        STATE["connections"] += 1

    def log_message(self, *_):
        pass

    def answer(self, body, status=200, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/state":
            self.answer(json.dumps(STATE).encode())
        elif path == "/echo":
            shown = {"path": self.path, "headers": [[k, v] for k, v in self.headers.items()]}
            self.answer(json.dumps(shown).encode(), headers=[("Content-Type", "application/json")])
        elif path == "/move":
            self.answer(b"", 302, [("Location", "/echo?moved"), ("Set-Cookie", "app=1; Path=/; Domain=example.org"),
                                   ("Set-Cookie", "trailer_session=stolen; Path=/")])
        elif path == "/page":
            self.answer(b"<!doctype html><title>an application</title>", headers=[("Content-Type", "text/html")])
        elif path == "/events":
            self.events()
        elif path == "/chunks":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for each in (b"one", b"two" * 10000):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(each), each))
            self.wfile.write(b"0\r\n\r\n")
        elif path == "/big":
            self.send_response(200)
            self.send_header("Content-Length", str(200 << 20))
            self.end_headers()
            for _ in range(200):
                self.wfile.write(b"x" * (1 << 20))
        elif path == "/slow":
            time.sleep(2)
            self.answer(b"slow")
        elif path == "/break":
            self.close_connection = True
        elif path == "/socket":
            self.websocket()
        else:
            self.answer(b"hello from " + self.path.encode())

    def events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            for number in range(10_000):
                self.wfile.write(f"data: {number} {time.time()}\n\n".encode())
                time.sleep(0.2)
        except OSError:
            STATE["aborted"] += 1
        self.close_connection = True

    def do_POST(self):
        digest = hashlib.sha256()
        size = 0
        for piece in self.pieces():
            digest.update(piece)
            size += len(piece)
        self.answer(json.dumps({"size": size, "sha256": digest.hexdigest(),
                                "chunked": "Transfer-Encoding" in self.headers}).encode())

    do_PUT = do_POST

    def pieces(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left > 0:
            piece = self.rfile.read(min(left, 1 << 16))
            if not piece:
                STATE["aborted"] += 1
                raise ConnectionError("the body broke off")
            left -= len(piece)
            yield piece

    def websocket(self):
        """Echoes short frames: enough of RFC 6455 for the test."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.wfile.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          f"Sec-WebSocket-Accept: {accept}\r\n\r\n").encode())
        self.close_connection = True
        while True:
            head = self.rfile.read(2)
            if len(head) < 2:
                STATE["aborted"] += 1
                return
            size, mask = head[1] & 0x7f, self.rfile.read(4)
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(size)))
            self.wfile.write(bytes([head[0], size]) + data)
            if head[0] & 0x0f == 8:
                return


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        pass


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
