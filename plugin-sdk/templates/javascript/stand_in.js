// A small fake of the provider, for tests: it listens on a free loopback port, says where in one line of JSON on
// standard output, and does what the lines of JSON on its standard input ask for. It ends when they do.
//
// `node stand_in.js [PORT]`, and type `{"do":"content"}`.

import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const PASSWORD = "Sesame-7341";
const ROLES = ["inbox", "archive", "drafts", "sent", "junk", "trash"];
const LARGEST = 64 << 20;
let numbers = 0;

/** An answer that says no. */
class Refused extends Error {
    constructor(status, headers = {}) {
        super(`refused with ${status}`);
        Object.assign(this, { status, headers });
    }
}

class Folder {
    constructor(path, role = null) {
        Object.assign(this, { id: `f${++numbers}`, path, role, epoch: 1, letters: new Map() });
        // What happened, in order: a place in the feed is a place in this list.
        this.log = [];
    }

    add(content, flags = [], received = null) {
        const letter = { id: `l${++numbers}`, flags, received, content, changes: 0 };
        this.letters.set(letter.id, letter);
        this.log.push(["added", letter.id]);
        return letter;
    }

    mark(letter, flags) {
        if (String([...flags].sort()) !== String([...letter.flags].sort())) {
            Object.assign(letter, { flags, changes: letter.changes + 1 });
            this.log.push(["marked", letter.id]);
        }
    }

    remove(id) {
        this.letters.delete(id);
        this.log.push(["removed", id]);
    }

    renumber() {
        const old = [...this.letters.values()];
        Object.assign(this, { epoch: this.epoch + 1, log: [], letters: new Map() });
        old.forEach(({ content, flags, received }) => this.add(content, flags, received));
    }

    letter(id) {
        return this.letters.get(id) ?? refuse(404);
    }

    /** A place in the feed or in a listing, if it is one of this epoch. */
    at(token) {
        const [, epoch, place] = /^(\d+)\.(\d+)$/.exec(token ?? "") ?? refuse(410);
        return epoch === String(this.epoch) ? Number(place) : refuse(410);
    }

    token(place) {
        return `${this.epoch}.${place}`;
    }

    shown() {
        const { id, path, role } = this;
        return { id, path, role, letters: this.letters.size, epoch: String(this.epoch) };
    }

    /** What happened in these places, once for each letter: what it came to is all that counts. */
    feed(first, last) {
        const news = new Map();
        for (const [what, id] of this.log.slice(first, last)) {
            news.set(id, what === "marked" && news.get(id) === "added" ? "added" : what);
        }
        return [...news].map(([id, what]) =>
            this.letters.has(id) ? { what, letter: shown(this.letters.get(id)) } : { what: "removed", id },
        );
    }
}

class Account {
    folders = [new Folder(["INBOX"], "inbox")];

    make(path, role = null) {
        if (path.length === 0 || path.some((name) => name === "" || Buffer.byteLength(name) > 200)) {
            refuse(422);
        }
        let found = this.folders.find((folder) => JSON.stringify(folder.path) === JSON.stringify(path));
        if (!found) {
            found = new Folder(path);
            this.folders.push(found);
        }
        if (ROLES.includes(role) && !this.folders.some((folder) => folder.role === role)) {
            found.role = role;
        }
        return found;
    }

    folder(id) {
        return this.folders.find((folder) => folder.id === id) ?? refuse(404);
    }
}

function refuse(status, headers) {
    throw new Refused(status, headers);
}

function shown({ id, flags, received, content, changes }) {
    return { id, flags, received, bytes: content.length, revision: String(changes) };
}

function sample(number, text) {
    return Buffer.from(`From: nobody@example.org\r\nSubject: Letter ${number}\r\n\r\n${text}\r\n`);
}

function filled() {
    const account = new Account();
    const [inbox] = account.folders;
    const flags = [["\\Seen"], ["\\Seen", "\\Answered"], ["\\Flagged", "Work"], []];
    for (let number = 1; number <= 30; number++) {
        const day = String(number).padStart(2, "0");
        inbox.add(sample(number, "Hello."), flags[number % 4], `2024-05-${day}T12:00:00+02:00`);
    }
    inbox.add(sample(31, "Grüße, 日本 🐦"), [], "1999-12-31T23:59:59-08:00");
    account.make(["Sent"], "sent").add(sample(32, "x".repeat(200_000)), ["\\Seen"], "2023-01-01T00:00:00+00:00");
    account.make(["Work"]);
    account.make(["Work", "a/b & ü"]).add(sample(33, "In a folder in a folder."), [], "2022-02-02T02:02:02+05:30");
    account.make(["Empty"]);
    return account;
}

// `alice` is read and `bob` is written.
const accounts = { alice: filled(), bob: new Account() };
// What the next request of the connector meets with: a throttling or a cut.
let trouble = null;

function login(authorization = "") {
    const [kind, secret = ""] = authorization.split(" ");
    const [user, password] = Buffer.from(secret, "base64").toString().split(":");
    if (kind !== "Basic" || !Object.hasOwn(accounts, user) || password !== PASSWORD) {
        refuse(401, { "www-authenticate": 'Basic realm="bulletin"' });
    }
    return accounts[user];
}

/** The whole provider: `{ status, headers, body }` for a request. */
export function answer(method, address, authorization, body) {
    try {
        return { status: 200, headers: {}, ...routed(login(authorization), method, address, body) };
    } catch (error) {
        if (error instanceof Refused) {
            return { status: error.status, headers: error.headers, body: Buffer.alloc(0) };
        }
        throw error;
    }
}

function routed(account, method, address, body) {
    if (trouble?.throttle) {
        const seconds = trouble.throttle;
        trouble = null;
        refuse(429, { "retry-after": String(seconds) });
    }
    const { pathname, searchParams: query } = new URL(address, "http://localhost");
    const [place, id, part, letter, more] = pathname.split("/").slice(1).map(decodeURIComponent);
    const size = Math.max(1, Math.min(Number(query.get("size") ?? 100), 500));
    switch (`${method} ${[place, id && "F", part, letter && "L", more].filter(Boolean).join("/")}`) {
        case "GET folders":
            return json({ folders: account.folders.map((folder) => folder.shown()) });
        case "POST folders": {
            const { path, role } = JSON.parse(body);
            return json(account.make(path, role).shown());
        }
        case "GET folders/F/letters": {
            const folder = account.folder(id);
            // Letters by the order in which they came; a page begins at the number that its token holds.
            const first = query.has("page") ? folder.at(query.get("page")) : 0;
            const rest = [...folder.letters.values()].filter((letter) => Number(letter.id.slice(1)) >= first);
            return json({
                letters: rest.slice(0, size).map(shown),
                next: rest.length > size ? folder.token(Number(rest[size].id.slice(1))) : null,
                feed: folder.token(folder.log.length),
            });
        }
        case "GET folders/F/feed": {
            const folder = account.folder(id);
            const first = folder.at(query.get("since"));
            const last = Math.min(first + size, folder.log.length);
            return json({
                changes: folder.feed(first, last),
                feed: folder.token(last),
                more: last < folder.log.length,
            });
        }
        case "GET folders/F/letters/L": {
            const found = account.folder(id).letter(letter);
            return { body: found.content, headers: { "x-letter": JSON.stringify(shown(found)) } };
        }
        case "POST folders/F/letters":
            if (body.length > LARGEST) {
                refuse(413);
            }
            return json(shown(account.folder(id).add(body, query.getAll("flag"), query.get("received"))));
        case "PUT folders/F/letters/L/flags": {
            const folder = account.folder(id);
            folder.mark(folder.letter(letter), JSON.parse(body).flags);
            return json({});
        }
        case "DELETE folders/F/letters/L": {
            const folder = account.folder(id);
            folder.remove(folder.letter(letter).id);
            return json({});
        }
        default:
            return refuse(404);
    }
}

function json(value) {
    return { headers: { "content-type": "application/json" }, body: Buffer.from(JSON.stringify(value)) };
}

/** What a test asks for. */
function done({ do: what, collection, content, flags, seconds }) {
    const { folders } = accounts.alice;
    switch (what) {
        case "content":
            return {
                collections: folders.map(({ path, role, letters }) => ({
                    path,
                    role,
                    items: [...letters.values()].map(({ content, flags, received }) => ({
                        content: content.toString("base64"),
                        flags,
                        received,
                    })),
                })),
            };
        case "digest":
            return { digest: JSON.stringify(folders.map((folder) => [folder.shown(), folder.log])) };
        case "throttle":
            trouble = { throttle: seconds };
            return {};
        case "cut":
            trouble = { cut: true };
            return {};
    }
    const folder = folders.find((folder) => folder.id === collection.id);
    if (what === "renumber") {
        folder.renumber();
        return {};
    }
    const wanted = Buffer.from(content, "base64");
    if (what === "add") {
        folder.add(wanted, [], "2024-06-01T08:00:00+00:00");
        return {};
    }
    const letter = [...folder.letters.values()].find((letter) => letter.content.equals(wanted));
    if (what === "mark") {
        folder.mark(letter, flags);
    } else if (what === "remove") {
        folder.remove(letter.id);
    } else {
        throw new Error(`nobody knows the request ${what}`);
    }
    return {};
}

async function serve(request, response) {
    const pieces = [];
    for await (const piece of request) {
        pieces.push(piece);
    }
    const { authorization } = request.headers;
    const { status, headers, body } = answer(request.method, request.url, authorization, Buffer.concat(pieces));
    if (trouble?.cut && status < 300) {
        trouble = null;
        response.writeHead(status, { ...headers, "content-length": body.length + 1000 });
        response.write(body.subarray(0, body.length / 2), () => response.destroy());
        return;
    }
    response.writeHead(status, { ...headers, "content-length": body.length });
    response.end(body);
}

function main() {
    const server = createServer(serve);
    server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => {
        const url = `http://127.0.0.1:${server.address().port}`;
        const does = ["content", "add", "mark", "remove", "digest", "renumber", "throttle", "cut"];
        console.log(JSON.stringify({ ready: { url }, does }));
    });
    const lines = createInterface({ input: process.stdin });
    lines.on("line", (line) => {
        let said;
        try {
            said = done(JSON.parse(line));
        } catch (error) {
            said = { error: String(error) };
        }
        console.log(JSON.stringify(said));
    });
    lines.on("close", () => process.exit());
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
    main();
}
