"""A web server on loopback that misbehaves as it is told, within bounds."""

import io
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STALL = 1.5  # seconds
ENDLESS = 1 << 23  # bytes


class Server:
    """Serves `files` (path: content); each request takes one behavior from `plan`, then "well"."""

    def __init__(self, files: dict[str, bytes], plan: list[str]):
        self.files, self.plan = files, list(plan)
        self.asked: list[tuple[str, str | None]] = []  # path and Range of each request
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@contextmanager
def serving(files: dict[str, bytes], *plan: str) -> Iterator[Server]:
    """Run a server for the length of a `with` block."""
    server = Server(files, plan)
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            wanted = self.headers.get("Range")
            server.asked.append((self.path, wanted))
            content = server.files.get(self.path)
            if content is None:
                return self.say(404)
            behavior = server.plan.pop(0) if server.plan else "well"
            self.close_connection = True
            with suppress(OSError):  # the client may have had enough
                if behavior.isdecimal():
                    self.say(int(behavior))
                else:
                    start = int(wanted[6:-1]) if wanted else 0
                    getattr(self, behavior)(content, start)

        def say(self, status: int, body: bytes = b"", length: int | None = None, **headers: str):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def rest(self, content: bytes, start: int, body: bytes):
            if start >= len(content):
                return self.say(416)
            if not start:
                return self.say(200, body, len(content))
            place = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.say(206, body, len(content) - start, Content_Range=place)

        def well(self, content, start):
            self.rest(content, start, content[start:])

        def half(self, content, start):
            self.rest(content, start, content[start : (start + len(content)) // 2])

        def whole(self, content, start):
            self.say(200, content)

        def half_of_whole(self, content, start):
            self.say(200, content[: len(content) // 2], len(content))

        def wrong(self, content, start):
            self.rest(content, start, bytes(len(content) - start))

        def other_piece(self, content, start):
            place = f"bytes 0-{len(content) - 1}/{len(content)}"
            self.say(206, content, Content_Range=place)

        def page(self, content, start):
            self.say(200, b"<html>Please log in.</html>")

        def nonsense_length(self, content, start):
            self.send_response(200)
            self.send_header("Content-Length", "many")
            self.end_headers()
            self.wfile.write(content)

        def huge_length(self, content, start):
            self.say(200, b"", 10**15)

        def endless(self, content, start):
            self.send_response(200)
            self.end_headers()
            for _ in range(ENDLESS >> 16):
                self.wfile.write(bytes(1 << 16))

        def stall(self, content, start):
            self.half(content, start)
            self.wfile.flush()
            time.sleep(STALL)

        def drip(self, content, start):
            self.say(200, b"", len(content))
            for position in range(int(STALL * 20)):
                self.wfile.write(content[position : position + 1])
                self.wfile.flush()
                time.sleep(0.05)

        def hang_up(self, content, start):
            self.connection.close()

        def reset(self, content, start):
            """End with RST in the middle of the body."""
            self.half(content, start)
            self.wfile.flush()
            at_once = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            for part in (self.rfile, self.wfile, self.connection):
                part.close()
            self.wfile = io.BytesIO()  # the server flushes it

        def not_http(self, content, start):
            self.wfile.write(b"220 hello\r\n")

        def loop(self, content, start):
            server.plan.insert(0, "loop")  # before the answer: the next request follows at once
            self.say(302, Location=self.path)

        def to_file(self, content, start):
            self.say(302, Location="file:///etc/hostname")

        def log_message(self, *args):
            pass

    return Handler
