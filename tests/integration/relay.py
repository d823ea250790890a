"""A relay that reads the HTTP it passes on: it counts requests, and can cut the line at a chosen one."""

import collections
import contextlib
import dataclasses
import re
import select
import socket
import threading

PIECE = 65536


@dataclasses.dataclass(frozen=True)
class Request:
    method: str
    path: str  # with its query

    @property
    def what(self):
        """Method and path, without version, query, ids and names: 'POST /containers/*/start'."""
        path = re.sub(r"^/v\d+\.\d+", "", self.path.split("?")[0])
        path = re.sub(r"^(/containers|/networks|/volumes|/images)/(?!create$|json$|prune$)[^/]+(/[a-z]+)?$", r"\1/*\2", path)
        return f"{self.method} {path}"

    @property
    def changes(self):
        return self.method not in ("GET", "HEAD")


class _Line:
    """One side of a connection, with what was read too far."""

    def __init__(self, sock):
        self.sock = sock
        self.rest = b""

    def more(self):
        piece = self.sock.recv(PIECE)
        if not piece:
            raise EOFError
        self.rest += piece

    def until(self, end):
        while end not in self.rest:
            self.more()
        at = self.rest.index(end) + len(end)
        taken, self.rest = self.rest[:at], self.rest[at:]
        return taken

    def some(self, most=PIECE):
        if not self.rest:
            self.more()
        taken, self.rest = self.rest[:most], self.rest[most:]
        return taken


def _header(head, name):
    found = re.search(rb"(?im)^" + name + rb":[ \t]*([^\r\n]*)", head)
    return found.group(1).strip() if found else b""


class Relay:
    """Listens, and passes on to `upstream`: (family, address).

    `gate(request)` is asked before a request is passed on, `answered(request, status)` once its answer has begun and
    before it is passed back. Either cuts the line by returning False: the request is not passed on, or its answer is lost.
    Both are called from the relay's threads, one connection each.
    """

    def __init__(self, listen, upstream, gate=None, answered=None):
        self._upstream = upstream
        self.gate = gate or (lambda request: True)
        self.answered = answered or (lambda request, status: True)
        self._lock = threading.Lock()
        self._open = set()
        self._asked = []
        self._counts = collections.Counter()
        self._closed = False
        family, address = listen
        self._listener = socket.socket(family)
        if family == socket.AF_INET:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(address)
        self._listener.listen(256)
        self.address = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def asked(self):
        """Every request since the last forget(), answered or not."""
        with self._lock:
            return list(self._asked)

    def counts(self):
        """'GET /containers/*/json 200' -> how many were answered so since the last forget()."""
        with self._lock:
            return dict(self._counts)

    def forget(self):
        with self._lock:
            self._asked.clear()
            self._counts.clear()

    def cut_all(self):
        """Ends every connection there is now."""
        with self._lock:
            lines = list(self._open)
        for each in lines:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()

    def _accept(self):
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        family, address = self._upstream
        server = socket.socket(family)
        with self._lock:
            self._open |= {client, server}
        try:
            server.connect(address)
            for each in (client, server):
                if each.family == socket.AF_INET:
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            up, down = _Line(client), _Line(server)
            while self._exchange(up, down):
                pass
        except (OSError, EOFError):
            pass  # one side has gone: so does the other
        finally:
            with self._lock:
                self._open -= {client, server}
            for each in (client, server):
                each.close()

    def _exchange(self, up, down):
        """One request and its answer. False when the connection is over."""
        head = up.until(b"\r\n\r\n")
        method, path = head.split(b" ", 2)[:2]
        request = Request(method.decode(), path.decode())
        with self._lock:
            self._asked.append(request)
        if not self.gate(request):
            return False
        down.sock.sendall(head)
        self._body(head, up, down.sock, None)
        answer = down.until(b"\r\n\r\n")
        while answer.split(b" ", 2)[1] == b"100":
            up.sock.sendall(answer)
            answer = down.until(b"\r\n\r\n")
        status = int(answer.split(b" ", 2)[1])
        with self._lock:
            self._counts[f"{request.what} {status}"] += 1
        if not self.answered(request, status):
            return False
        up.sock.sendall(answer)
        if status == 101:
            self._both_ways(up, down)
            return False
        if method == b"HEAD" or status in (204, 304):
            return True
        return self._body(answer, down, up.sock, up)

    @staticmethod
    def _await(source, other):
        """Until `source` has something to read; ends when `other` hangs up meanwhile."""
        if source.rest:
            return
        ready, _, _ = select.select([source.sock, other.sock], [], [])
        if source.sock not in ready and not other.sock.recv(1, socket.MSG_PEEK):
            raise EOFError  # else it has asked for more already, which comes later

    def _body(self, head, source, sink, other):
        """Passes a body on. `other`, where given, is the reader of an answer: it may hang up at any time."""
        def wait():
            if other is not None:
                self._await(source, other)

        if _header(head, b"transfer-encoding").lower() == b"chunked":
            while True:
                wait()
                line = source.until(b"\r\n")
                size = int(line.split(b";")[0], 16)
                left = size + 2
                sink.sendall(line)
                while left > 0:
                    piece = source.some(left)
                    sink.sendall(piece)
                    left -= len(piece)
                if size == 0:
                    return True
        length = _header(head, b"content-length")
        if length or other is None:
            left = int(length or b"0")
            while left > 0:
                piece = source.some(left)
                sink.sendall(piece)
                left -= len(piece)
            return _header(head, b"connection").lower() != b"close"
        while True:  # until the end of the connection
            wait()
            sink.sendall(source.some())

    @staticmethod
    def _both_ways(up, down):
        for source, sink in ((up, down), (down, up)):
            if source.rest:
                sink.sock.sendall(source.rest)
                source.rest = b""
        other = {up.sock: down.sock, down.sock: up.sock}
        while True:
            ready, _, _ = select.select(list(other), [], [])
            for each in ready:
                piece = each.recv(PIECE)
                if not piece:
                    return
                other[each].sendall(piece)


def engine_relay(path, engine, **hooks):
    """A relay at the unix socket `path` in front of the engine."""
    return Relay((socket.AF_UNIX, str(path)), (socket.AF_UNIX, engine.path), **hooks)


def server_relay(port, **hooks):
    """A relay on a free port of loopback in front of a server's port; its URL is http://127.0.0.1:address[1]."""
    return Relay((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET, ("127.0.0.1", port)), **hooks)
