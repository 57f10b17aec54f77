"""A host without a sandbox, for `python3 -m unittest`: bodies in memory, HTTP with what Python brings along.

Importing it makes `src/` importable. `whimbrel plugin test` is the test that counts; this one takes no build.
"""

import base64
import os
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("src", "build/bindings"):
    sys.path.insert(0, os.path.join(HERE, "..", folder))

from componentize_py_types import Err, Ok  # noqa: E402
from wit_world.imports import blobs, http, types  # noqa: E402

# Who logs in. The connector never sees it.
LOGIN = {"user": "alice", "password": "Sesame-7341"}


class Blob(blobs.Blob):
    def __init__(self, content: bytes):
        self.content = content

    def size(self) -> int:
        return len(self.content)

    def read(self, offset: int, length: int) -> bytes:
        return self.content[offset : offset + length]

    def slice(self, offset: int, length: int) -> "Blob":
        return Blob(self.content[offset : offset + length])


def send(request: http.Request) -> http.Response:
    basic = base64.b64encode(f"{LOGIN['user']}:{LOGIN['password']}".encode()).decode()
    headers = dict(request.headers) | {"Authorization": f"Basic {basic}"}
    content = request.body.content if request.body else None
    asked = urllib.request.Request(request.url, content, headers, method=request.method)
    try:
        answer = urllib.request.urlopen(asked)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        headers = [(name.lower(), value) for name, value in answer.headers.items()]
        if answer.status == 401:
            raise Err(types.Failure_Unauthenticated("the login was refused"))
        if answer.status == 429:
            raise Err(types.Failure_Throttled((int(answer.headers["Retry-After"]) * 1000, "slow down")))
        try:
            return http.Response(answer.status, request.url, headers, Blob(answer.read()))
        except OSError as error:
            raise Err(types.Failure_Unavailable(f"the answer broke off: {error}")) from error


def send_all(requests: list) -> list:
    def one(request):
        try:
            return Ok(send(request))
        except Err as error:
            return error

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(one, requests))


blobs.Blob, http.send, http.send_all = Blob, send, send_all
