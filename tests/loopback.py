"""A real server on the loopback interface that misbehaves on demand."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

CONTENT = bytes(range(256)) * 4096  # 1 MiB


@dataclass
class Server:
    """What the server serves, how it misbehaves, and what it was asked."""

    url: str = ""
    content: bytes = CONTENT  # of every path, unless there are files
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    etag: str | None = '"one"'
    ignore_ranges: bool = False
    cut_after: list[int] = field(default_factory=list)  # bytes to send of each coming answer before hanging up
    statuses: list[int] = field(default_factory=list)  # errors to answer first
    ranges: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Serve on the loopback interface until the block is left."""
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            state.ranges.append(self.headers.get("Range"))
            state.paths.append(self.path)
            if state.statuses:
                self.send_error(state.statuses.pop(0))
                return
            if self.path in state.redirects:
                self.send_response(302)
                self.send_header("Location", state.redirects[self.path])
                self.end_headers()
                return
            if state.files and self.path not in state.files:
                self.send_error(404)
                return
            content = state.files.get(self.path, state.content)
            start = self._start()
            if start >= len(content) and start > 0:
                self.send_error(416)
                return
            body = content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            if start:
                last = len(content) - 1
                self.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
            if state.etag:
                self.send_header("ETag", state.etag)
            self.end_headers()
            self.wfile.write(body[: state.cut_after.pop(0)] if state.cut_after else body)

        def _start(self) -> int:
            asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            fresh = self.headers.get("If-Range") == state.etag
            return int(asked.group(1)) if asked and fresh and not state.ignore_ranges else 0

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        state.url = f"http://127.0.0.1:{httpd.server_port}"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        httpd.shutdown()
        thread.join()
