// The account, read.

import { Bulletin } from "./bulletin.js";

const ROLES = ["inbox", "archive", "drafts", "sent", "junk", "trash"];

/** What the provider can do, reading and writing. */
export const ABILITIES = {
    incremental: true,
    reportsVanished: true,
    push: false,
    serverSideCopy: false,
    serverSideMove: false,
    returnsIds: true,
    keepsReceived: true,
    keepsFlags: true,
    keepsLabels: false,
    multiCollection: false,
    replaces: false,
};

export class Account {
    static open(settings) {
        const account = new Account();
        account.bulletin = new Bulletin(settings);
        return account;
    }

    collections() {
        const folders = this.bulletin.folders();
        return folders.sort((a, b) => a.path.length - b.path.length).map(collection);
    }

    changes(collection, cursor, limit) {
        const at = readCursor(cursor);
        if ("page" in at) {
            // Within a listing, or at the beginning of one.
            const answer = this.bulletin.letters(collection, at.page, limit);
            // What happens while the listing runs is in the feed from where it stood at the beginning.
            const feed = at.feed ?? answer.feed;
            const more = answer.next !== null;
            return {
                changes: answer.letters.map((letter) => ({ tag: "upserted", val: meta(letter) })),
                cursor: writeCursor(more ? { page: answer.next, feed } : { feed }),
                more,
                complete: true,
                capped: null,
            };
        }
        const answer = this.bulletin.feed(collection, at.feed, limit);
        return {
            changes: answer.changes.map(change),
            cursor: writeCursor({ feed: answer.feed }),
            more: answer.more,
            complete: false,
            capped: null,
        };
    }

    fetch(collection, ids) {
        return this.bulletin.contents(collection, ids).map(({ letter, content, failure }) =>
            failure
                ? { tag: "err", val: failure }
                : { tag: "ok", val: { meta: meta(letter), mediaType: "message/rfc822", content } },
        );
    }

    wait() {
        return []; // The provider does not push.
    }
}

/** `1:` and JSON: the number is that of the form, so that a later release can tell its elders' cursors. */
export function readCursor(cursor) {
    if (cursor === null || cursor === undefined) {
        return { page: null, feed: null };
    }
    try {
        const at = JSON.parse(cursor.replace(/^1:/, ""));
        if (cursor.startsWith("1:") && typeof at.feed === "string") {
            return at;
        }
    } catch {
        // As any other that is not understood.
    }
    // The host lists anew and matches by content.
    throw { tag: "generation-changed" };
}

export function writeCursor(at) {
    return `1:${JSON.stringify(at)}`;
}

export function collection(folder) {
    return {
        id: folder.id,
        path: folder.path,
        kind: "message",
        role: ROLES.includes(folder.role) ? folder.role : null,
        selectable: true,
        subscribed: true,
        items: folder.letters,
        bytes: null,
        generation: folder.epoch,
        attributes: [],
    };
}

function change(entry) {
    switch (entry.what) {
        case "removed":
            return { tag: "vanished", val: entry.id };
        case "marked":
            return { tag: "marked", val: meta(entry.letter) };
        case "added":
            return { tag: "upserted", val: meta(entry.letter) };
        default:
            throw { tag: "unavailable", val: "reading the feed: there is a change of a kind that nobody knows" };
    }
}

function meta(letter) {
    return {
        id: letter.id,
        revision: letter.revision,
        identity: null,
        size: letter.bytes,
        received: letter.received ? timestamp(letter.received) : null,
        flags: letter.flags,
        labels: [],
        attributes: [],
    };
}

/** RFC 3339. */
export function timestamp(text) {
    const zone = /([+-])(\d\d):(\d\d)$/.exec(text);
    const minutes = zone ? Number(zone[2]) * 60 + Number(zone[3]) : 0;
    return { unixMs: Date.parse(text), offsetMinutes: zone?.[1] === "-" ? -minutes : minutes };
}

export function text({ unixMs, offsetMinutes }) {
    const two = (number) => String(Math.floor(number)).padStart(2, "0");
    const local = new Date(unixMs + offsetMinutes * 60_000).toISOString().replace(/Z$/, "");
    const minutes = Math.abs(offsetMinutes);
    return `${local}${offsetMinutes < 0 ? "-" : "+"}${two(minutes / 60)}:${two(minutes % 60)}`;
}
