"""Lambda's Runtime API on a loopback port, for AWS's own runtime client in a child process.

Source: Lambda developer guide, "Using the Lambda runtime API".
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

_ARN = "arn:aws:lambda:us-east-1:111122223333:function:signer"


@dataclass
class Function:
    """A function under AWS's runtime client. Its log is what it wrote; `invoke` waits for one result.

    `seconds` is its timeout: the runtime is told of it, nothing is killed.
    """

    handler: str
    environ: Mapping[str, str]
    log: Path
    seconds: float = 15.0
    events: queue.Queue[tuple[str, Any]] = field(default_factory=queue.Queue)
    results: queue.Queue[tuple[str, Any]] = field(default_factory=queue.Queue)

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self._out = self.log.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", self.handler],
            env={
                **self.environ,
                "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_address[1]}",
                "AWS_LAMBDA_FUNCTION_NAME": "signer",
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
                "LAMBDA_TASK_ROOT": str(self.log.parent),
                "_HANDLER": self.handler,
            },
            cwd=self.log.parent,
            stdout=self._out,
            stderr=self._out,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)
        self._out.close()
        self._server.shutdown()
        self._server.server_close()

    def invoke(self, event: Any, timeout: float = 5.0) -> tuple[str, Any]:
        """Return ("response" or "error", what the runtime sent)."""
        self.events.put((str(uuid.uuid4()), event))
        return self.results.get(timeout=timeout)

    def lines(self) -> list[dict[str, Any]]:
        """Return the JSON lines of the log."""
        text = self.log.read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def _handler_for(function: Function) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            request_id, event = function.events.get()
            headers = {
                "Lambda-Runtime-Aws-Request-Id": request_id,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + function.seconds) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": _ARN,
                # Without it the runtime's native client crashes.
                "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000",
                "Content-Type": "application/json",
            }
            self._answer(200, json.dumps(event).encode(), headers)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            self._answer(202, b"{}", {})
            function.results.put((self.path.rpartition("/")[2], json.loads(body or b"null")))

        def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    return Handler
