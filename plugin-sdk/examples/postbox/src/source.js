// The export, read.

import { Writer } from "whimbrel:connector/blobs@0.1.0";
import { Folder } from "whimbrel:connector/files@0.1.0";

import { fields, instant, segments } from "./csv.js";
import { Decoder } from "./letter.js";
import { decode } from "./utf8.js";

const COLUMNS = "No;Folder;File;State;Received;Labels";
const FLAGS = { R: "\\Seen", A: "\\Answered", F: "\\Flagged", D: "\\Draft" };
const ROLES = { Inbox: "inbox", Sent: "sent", Drafts: "drafts", Trash: "trash" };
// How much of a file is in memory at a time.
const PIECE = 64 << 10;
const LINE_FEED = 10;

export class Account {
    // The letters of the folder that was asked for last: its pages need the index no more than once.
    #listed = { folder: null, rows: [], byId: new Map() };

    static open(settings) {
        const { user } = JSON.parse(settings);
        if (typeof user !== "string" || /[/\\]/.test(user) || user.startsWith(".")) {
            throw { tag: "invalid-settings", val: "`user` has to be the name of a folder in `root`" };
        }
        const account = new Account();
        account.place = user;
        account.folder = Folder.open("root");
        account.#check();
        return account;
    }

    collections() {
        const folders = new Map();
        for (const { folder } of this.#rows()) {
            folders.set(folder, (folders.get(folder) ?? 0) + 1);
        }
        const found = [...folders].map(([folder, items]) => ({
            id: folder,
            path: segments(folder),
            kind: "message",
            role: ROLES[folder] ?? null,
            selectable: true,
            subscribed: true,
            items,
            bytes: null,
            generation: null,
            attributes: [],
        }));
        return found.sort((a, b) => a.path.length - b.path.length);
    }

    changes(collection, cursor, limit) {
        const { before, at } = readCursor(cursor);
        if (at === null || this.#listed.folder !== collection) {
            this.#list(collection);
        }
        const waiting = this.#listed.rows.filter(({ number }) => number > (at ?? 0));
        const listed = waiting.slice(0, limit);
        const more = waiting.length > listed.length;
        const last = listed.at(-1)?.number ?? at ?? before;
        return {
            // Numbers ascend: what is beyond the last one of the listing before is new.
            changes: listed.map((row) => ({ tag: row.number > before ? "upserted" : "marked", val: meta(row) })),
            cursor: writeCursor(more ? { before, at: last } : { before: Math.max(before, last), at: null }),
            more,
            complete: true,
            capped: null,
        };
    }

    fetch(collection, ids) {
        const isThere = (id) => {
            const row = this.#find(id);
            return row && this.folder.stat(this.#path(row));
        };
        if (this.#listed.folder !== collection || !ids.every(isThere)) {
            this.#list(collection); // What is not there may have come, or gone, since.
        }
        return ids.map((id) => {
            try {
                const row = this.#find(id);
                if (!row) {
                    throw { tag: "not-found", val: `the index has no letter ${id}` };
                }
                return { tag: "ok", val: this.#item(row) };
            } catch (failure) {
                if (failure?.tag === undefined) {
                    throw failure;
                }
                return { tag: "err", val: failure };
            }
        });
    }

    wait() {
        return []; // Nobody tells that a file changed.
    }

    #find(id) {
        return this.#listed.byId.get(id);
    }

    #path({ file }) {
        return `${this.place}/msg/${file}`;
    }

    #item(row) {
        const path = this.#path(row);
        if (!this.folder.stat(path)) {
            // It is not gone, as the index names it: this has to be seen.
            throw { tag: "rejected", val: `the index names a file for letter ${row.number}, which is not there` };
        }
        const body = this.folder.read(path, 0, null);
        const known = meta(row);
        try {
            const content = decoded(body);
            return { meta: { ...known, size: content.size() }, mediaType: "message/rfc822", content };
        } catch (error) {
            if (!(error instanceof Error)) {
                throw error;
            }
            const attributes = [["unreadable", error.message]];
            return { meta: { ...known, attributes }, mediaType: "message/rfc822", content: body };
        }
    }

    #list(folder) {
        const rows = [...this.#rows()].filter((row) => row.folder === folder);
        if (rows.length === 0) {
            throw { tag: "not-found", val: "the index has no letter in this folder" };
        }
        rows.sort((a, b) => a.number - b.number);
        this.#listed = { folder, rows, byId: new Map(rows.map((row) => [String(row.number), row])) };
    }

    #check() {
        const { value } = this.#lines().next();
        if (value !== COLUMNS) {
            throw { tag: "invalid-settings", val: `\`index.csv\` does not begin with the columns ${COLUMNS}` };
        }
    }

    /** The letters of all folders, as the index has them now. */
    *#rows() {
        let number = 0;
        for (const line of this.#lines()) {
            number += 1;
            if (number === 1 || line === "") {
                continue;
            }
            const [no, folder, file, state, received, labels, ...rest] = fields(line) ?? [];
            if (labels === undefined || rest.length > 0 || !/^[1-9]\d{0,9}$/.test(no) || folder === "") {
                // To go on without it would be to lose a letter.
                throw { tag: "internal", val: `line ${number} of \`index.csv\` is none of a letter` };
            }
            yield { number: Number(no), folder, file, state, received, labels };
        }
    }

    *#lines() {
        const path = `${this.place}/index.csv`;
        if (!this.folder.stat(path)) {
            throw { tag: "not-found", val: "there is no `index.csv` in the folder of this user" };
        }
        let begun = [];
        for (const piece of pieces(this.folder.read(path, 0, null))) {
            let start = 0;
            for (let end = piece.indexOf(LINE_FEED); end >= 0; end = piece.indexOf(LINE_FEED, start)) {
                yield line([...begun, ...piece.subarray(start, end)]);
                begun = [];
                start = end + 1;
            }
            begun = begun.concat(Array.from(piece.subarray(start)));
        }
        if (begun.length > 0) {
            yield line(begun);
        }
    }
}

function line(bytes) {
    try {
        return decode(Uint8Array.from(bytes)).replace(/^\uFEFF/, "").replace(/\r$/, "");
    } catch {
        throw { tag: "internal", val: "`index.csv` is not written in UTF-8" };
    }
}

function* pieces(body) {
    const size = body.size();
    for (let at = 0; at < size; ) {
        const piece = Uint8Array.from(body.read(at, PIECE));
        yield piece;
        at += piece.length;
    }
}

function decoded(body) {
    const decoder = new Decoder();
    const writer = new Writer();
    for (const piece of pieces(body)) {
        writer.write(Uint8Array.from(decoder.push(piece)));
    }
    decoder.finish();
    return Writer.finish(writer);
}

function meta({ number, state, received, labels }) {
    return {
        id: String(number),
        revision: state,
        identity: null,
        size: null, // That of the file says nothing of the message.
        received: instant(received),
        flags: Object.entries(FLAGS)
            .filter(([letter]) => state.includes(letter))
            .map(([, flag]) => flag),
        labels: labels.split(",").filter((label) => label !== ""),
        attributes: [],
    };
}

/** `1:` is the number of the form. `before` ended the listing before this one, `at` is where this one stands. */
export function readCursor(cursor) {
    if (cursor === null || cursor === undefined) {
        return { before: 0, at: null };
    }
    const [, before, at] = /^1:(\d{1,10}),(\d{1,10})?$/.exec(cursor) ?? [];
    if (before === undefined) {
        throw { tag: "generation-changed" }; // Not understood: the host lists anew and matches by content.
    }
    return { before: Number(before), at: at === undefined ? null : Number(at) };
}

export function writeCursor({ before, at }) {
    return `1:${before},${at ?? ""}`;
}
