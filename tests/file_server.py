"""A server of files on 127.0.0.1 that can be told to misbehave; nothing leaves the machine."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = bytes(range(256)) * 4000


@dataclass
class Behaviour:
    """What the server does, and what it was asked."""

    content: bytes = CONTENT
    etag: str = '"one"'
    knows_ranges: bool = True
    cuts_after: list[int] = field(default_factory=list)
    falls_silent_after: int | None = None
    goes_on: threading.Event = field(default_factory=threading.Event)
    status: int = 200
    kind: str = "application/octet-stream"
    says_length: bool = True
    wrong_start: int = 0
    asked: list[str] = field(default_factory=list)
    url: str = ""


def handler_of(behaviour: Behaviour) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            behaviour.asked.append(wanted)
            if behaviour.status >= 400:
                self.send_error(behaviour.status)
                return
            start = int(match.group(1)) if (match := re.fullmatch(r"bytes=(\d+)-", wanted)) else 0
            is_same = self.headers.get("If-Range", behaviour.etag) == behaviour.etag
            if not (behaviour.knows_ranges and wanted and is_same):
                start = 0
            whole = behaviour.content
            if start and start >= len(whole):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(whole)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                first = start + behaviour.wrong_start
                self.send_header("Content-Range", f"bytes {first}-{len(whole) - 1}/{len(whole)}")
            self.send_header("Content-Type", behaviour.kind)
            if behaviour.etag:
                self.send_header("ETag", behaviour.etag)
            if behaviour.says_length:
                self.send_header("Content-Length", str(len(whole) - start))
            self.end_headers()
            rest = whole[start:]
            if behaviour.cuts_after:
                rest = rest[: behaviour.cuts_after.pop(0)]
            n_before = behaviour.falls_silent_after if behaviour.falls_silent_after is not None else len(rest)
            with suppress(ConnectionError):  # whoever asked may have hung up
                self.wfile.write(rest[:n_before])
                if n_before < len(rest):
                    behaviour.goes_on.wait()
                    self.wfile.write(rest[n_before:])

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@contextmanager
def serving() -> Iterator[Behaviour]:
    """A server that runs until the block ends."""
    behaviour = Behaviour()
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(behaviour))
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    behaviour.url = f"http://127.0.0.1:{http.server_address[1]}/weights.pth"
    try:
        yield behaviour
    finally:
        behaviour.goes_on.set()
        http.shutdown()
        thread.join()
        http.server_close()
