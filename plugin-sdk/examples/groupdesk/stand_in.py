#!/usr/bin/env python3
"""A small fake of a Groupdesk server, for tests: it listens on a free loopback port, says where in one line of JSON, and
does what the lines of JSON on its standard input ask for. It ends when they do."""

import base64
import json
import sys
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

LOGIN = "Basic " + base64.b64encode(b"alice:Sesame-7341").decode()
SIGNS = {"\\Seen": "r", "\\Answered": "a", "\\Flagged": "!", "\\Draft": "d"}
ZONES = {0: "UTC", 60: "MEZ", 120: "MESZ"}
LOCK = threading.Lock()
# What the next request meets with.
TROUBLE: list = []


class Drawer:
    def __init__(self, number: int, path: list, purpose: str = ""):
        self.number, self.path, self.purpose = str(number), path, purpose
        self.letters: list[dict] = []
        self.highest = 0

    def add(self, content: bytes, received: str, flags=(), tags=()) -> None:
        self.highest += 1
        at = datetime.fromisoformat(received)
        self.letters.append(
            {"no": self.highest, "content": content, "received": at, "flags": list(flags), "tags": list(tags)}
        )

    def listing(self, before: str | None, most: int) -> dict:
        rest = [letter for letter in self.letters if before is None or key(letter) <= before]
        rest.sort(key=lambda letter: (key(letter), letter["no"]), reverse=True)
        shown = [described(letter) for letter in rest[:most]]
        return {"highest": self.highest, "letters": shown, "rest": len(rest) - len(shown)}


def key(letter: dict) -> str:
    return letter["received"].astimezone(timezone.utc).strftime("%Y%m%d%H%M%S")


def described(letter: dict) -> dict:
    minutes = letter["received"].utcoffset() // timedelta(minutes=1)
    return {
        "no": letter["no"],
        "key": key(letter),
        "at": letter["received"].strftime("%d.%m.%Y %H:%M:%S ") + ZONES[minutes],
        "bytes": len(letter["content"]),
        "state": "".join(SIGNS[flag] for flag in letter["flags"]),
        "tags": letter["tags"],
    }


def coded(name: str) -> str:
    return name.replace("%", "%25").replace("»", "%BB").replace(";", "%3B")


def filled() -> list[Drawer]:
    drawers = [Drawer(7, ["INBOX"], "inbox"), Drawer(9, ["Gesendet"], "sent"), Drawer(12, ["Kunden"])]
    drawers += [Drawer(13, ["Kunden", "Müller; 100 % » Söhne"]), Drawer(20, ["Leer"])]
    for number in range(1, 41):
        # Many letters of one second, so that pages have seams in the midst of them.
        second = f"2004-03-{1 + number // 10:02}T08:00:00+01:00"
        flags = [["\\Seen"], ["\\Seen", "\\Flagged"], [], ["\\Answered"]][number % 4]
        text = f"From: office@example.org\r\nSubject: Letter {number}\r\n\r\nHello.\r\n".encode()
        drawers[0].add(text, second, flags, ["Kunde A"] if number % 5 == 0 else [])
    drawers[0].add(b"Subject: raw\r\n\r\n\xff\0 bare\nfeed", "2004-07-01T12:30:00+02:00")
    drawers[1].add(b"Subject: large\r\n\r\n" + b"x" * 3_000_000, "1999-12-31T23:59:59+00:00", ["\\Seen"])
    drawers[3].add(b"", "2004-05-05T05:05:05+02:00", ["\\Draft"])
    return drawers


DRAWERS = filled()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        with LOCK:
            status, headers, body = self.answer()
            cut = status == 200 and TROUBLE[:1] == ["cut"] and TROUBLE.pop()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = bool(cut) or self.close_connection

    def answer(self) -> tuple[int, dict, bytes]:
        if self.headers.get("Authorization") != LOGIN:
            return 401, {"WWW-Authenticate": 'Basic realm="Groupdesk"'}, b""
        if TROUBLE and isinstance(TROUBLE[0], int):
            return 429, {"Retry-After": str(TROUBLE.pop())}, b""
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if address.path == "/gd/drawers":
            rows = [
                f"{it.number};{'»'.join(map(coded, it.path))};{it.purpose};{len(it.letters)}\n" for it in DRAWERS
            ]
            return 200, {}, "".join(rows).encode()
        drawer = next((it for it in DRAWERS if it.number == query.get("drawer")), None)
        if drawer is None:
            return 404, {}, b""
        if address.path == "/gd/list":
            most = min(int(query["most"]), 500)
            return 200, {}, json.dumps(drawer.listing(query.get("before"), most)).encode()
        letter = next((it for it in drawer.letters if str(it["no"]) == query.get("no")), None)
        if address.path != "/gd/letter" or letter is None:
            return 404, {}, b""
        content = letter["content"]
        return 200, {"gd-letter": json.dumps(described(letter))}, b"GDMSG 1 %d\n%sGDEND" % (len(content), content)


def do(request: dict) -> dict:
    what = request["do"]
    if what == "content":
        return {
            "collections": [
                {
                    "path": drawer.path,
                    "items": [
                        {
                            "content": base64.b64encode(letter["content"]).decode(),
                            "flags": letter["flags"],
                            "received": letter["received"].isoformat(),
                        }
                        for letter in drawer.letters
                    ],
                }
                for drawer in DRAWERS
            ]
        }
    if what == "digest":
        return {"digest": json.dumps([drawer.listing(None, 10_000) for drawer in DRAWERS])}
    if what == "throttle":
        TROUBLE[:] = [int(request["seconds"])]
        return {}
    if what == "cut":
        TROUBLE[:] = ["cut"]
        return {}
    drawer = next(it for it in DRAWERS if it.number == request["collection"]["id"])
    content = base64.b64decode(request["content"])
    if what == "add":
        drawer.add(content, "2004-08-01T00:00:00+02:00")
        return {}
    letter = next(it for it in drawer.letters if it["content"] == content)
    if what == "mark":
        letter["flags"] = request["flags"]
    elif what == "remove":
        drawer.letters.remove(letter)
    else:
        raise ValueError(f"nobody knows the request {what!r}")
    return {}


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    does = ["content", "add", "mark", "remove", "digest", "throttle", "cut"]
    print(json.dumps({"ready": {"url": f"http://127.0.0.1:{server.server_port}"}, "does": does}), flush=True)
    for line in sys.stdin:
        try:
            with LOCK:
                answer = do(json.loads(line))
        except (KeyError, ValueError, StopIteration) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
