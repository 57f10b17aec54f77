// The provider's API: the one module that knows its addresses and its JSON. Your provider goes here.
//
//     GET    /folders                           all folders
//     POST   /folders                           makes one, or gives the one that is there
//     GET    /folders/F/letters?size=&page=     a page of a listing; `next` leads on, `feed` is where the feed stands
//     GET    /folders/F/feed?since=&size=       what changed since; 410 where ids became void
//     GET    /folders/F/letters/L               the content; the header `x-letter` says the rest
//     POST   /folders/F/letters?received=&flag= adds a letter
//     PUT    /folders/F/letters/L/flags         sets its flags
//     DELETE /folders/F/letters/L
//
// A failure of the contract is thrown as it is: `{ tag: "not-found", val: "…" }`.

import { Blob } from "whimbrel:connector/blobs@0.1.0";
import { send, sendAll } from "whimbrel:connector/http@0.1.0";

import { decode, encode } from "./utf8.js";

// What a call of `Blob.read` gives at most.
const CHUNK = 1 << 20;
// The most that an answer of JSON may have; letters may be larger.
const ANSWER = 16 << 20;

/** An account of the provider, by its API. */
export class Bulletin {
    constructor(settings) {
        const { url } = JSON.parse(settings);
        if (typeof url !== "string") {
            throw { tag: "invalid-settings", val: "`url` has to be the address of the API" };
        }
        this.url = url.replace(/\/+$/, "");
    }

    folders() {
        return this.json("GET", "/folders", "listing the folders").folders;
    }

    makeFolder(path, role) {
        return this.json("POST", "/folders", "making a folder", { path, role });
    }

    letters(folder, page, size) {
        return this.json("GET", `${letters(folder)}?${query({ size, page })}`, "listing the letters");
    }

    feed(folder, since, size) {
        return this.json("GET", `${named(folder)}/feed?${query({ since, size })}`, "reading the feed");
    }

    /** For each id `{ letter, content }` or `{ failure }`. Several requests are under way at a time. */
    contents(folder, ids) {
        const what = "fetching a letter";
        return sendAll(ids.map((id) => this.request("GET", letters(folder, id)))).map((answer) => {
            if (answer.tag === "err") {
                return { failure: answer.val };
            }
            const failure = refusal(answer.val.status, what);
            if (failure) {
                return { failure };
            }
            const header = answer.val.headers.find(([name]) => name === "x-letter");
            try {
                return { letter: JSON.parse(header[1]), content: answer.val.body };
            } catch {
                return { failure: { tag: "unavailable", val: `${what}: the answer has no proper \`x-letter\`` } };
            }
        });
    }

    add(folder, content, received, flags) {
        const address = `${letters(folder)}?${query({ received, flag: flags })}`;
        const what = "adding a letter";
        return parsed(checked(send(this.request("POST", address, content, "message/rfc822")), what), what);
    }

    setFlags(folder, id, flags) {
        this.json("PUT", `${letters(folder, id)}/flags`, "setting flags", { flags });
    }

    remove(folder, id) {
        checked(send(this.request("DELETE", letters(folder, id))), "removing a letter");
    }

    json(method, path, what, body) {
        const content = body === undefined ? null : new Blob(encode(JSON.stringify(body)));
        return parsed(checked(send(this.request(method, path, content, "application/json", ANSWER)), what), what);
    }

    request(method, path, body = null, mediaType = "", maxBytes = null) {
        return {
            method,
            url: this.url + path,
            headers: body ? [["content-type", mediaType]] : [],
            body,
            authenticate: true, // The host logs in as the mailbox.
            timeoutMs: null,
            maxBytes,
        };
    }
}

function named(folder) {
    return `/folders/${part(folder)}`;
}

function letters(folder, id) {
    return `${named(folder)}/letters${id === undefined ? "" : `/${part(id)}`}`;
}

/** What is no text of Unicode has no address: it is asked for as something that is not there. */
function part(id) {
    return encodeURIComponent(id.toWellFormed());
}

function query(values) {
    const pairs = Object.entries(values).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
    return pairs
        .filter(([, value]) => value !== null && value !== undefined)
        .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
        .join("&");
}

/** The failure that a status stands for. Those that mean the same everywhere (401, 429, 5xx) are the host's work. */
function refusal(status, what) {
    const said = `${what}: the provider answered ${status}`;
    if (status >= 200 && status < 300) {
        return null;
    }
    switch (status) {
        case 403:
            return { tag: "forbidden", val: said };
        case 404:
            return { tag: "not-found", val: said };
        case 410:
            return { tag: "generation-changed" };
        case 413:
            return { tag: "too-large", val: null };
        case 409:
        case 415:
        case 422:
            return { tag: "rejected", val: said };
        default:
            return { tag: "internal", val: said };
    }
}

function checked(response, what) {
    const failure = refusal(response.status, what);
    if (failure) {
        throw failure;
    }
    return response;
}

function parsed(response, what) {
    try {
        return JSON.parse(decode(whole(response.body)));
    } catch {
        throw { tag: "unavailable", val: `${what}: the answer is no JSON` };
    }
}

/** All bytes of a small body. Letters are never read here: the host moves them. */
function whole(blob) {
    const bytes = new Uint8Array(blob.size());
    for (let at = 0; at < bytes.length; ) {
        const piece = Uint8Array.from(blob.read(at, CHUNK));
        bytes.set(piece, at);
        at += piece.length;
    }
    return bytes;
}
