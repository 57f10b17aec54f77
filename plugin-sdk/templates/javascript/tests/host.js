// A host without a sandbox, for `node --test`: bodies in memory, and HTTP that ends in the stand-in without a network.
//
// It is loaded first (`--import`), and stands in for what the connector imports from `whimbrel:connector/…`.
// `whimbrel plugin test` is the test that counts; this one takes no build.

import { register } from "node:module";

import { answer } from "../stand_in.js";

const HOOKS = `export const resolve = (name, context, next) =>
    name.startsWith("whimbrel:connector/") ? { url: ${JSON.stringify(import.meta.url)}, shortCircuit: true }
        : next(name, context);`;
register(`data:text/javascript,${encodeURIComponent(HOOKS)}`);

/** Who logs in. The connector never sees it. */
export const login = { user: "", password: "" };

export class Blob {
    constructor(content) {
        this.content = Buffer.from(content);
    }

    size() {
        return this.content.length;
    }

    read(offset, length) {
        return this.content.subarray(offset, offset + length);
    }
}

export function send({ method, url, body }) {
    const basic = `Basic ${Buffer.from(`${login.user}:${login.password}`).toString("base64")}`;
    const { pathname, search } = new URL(url);
    const said = answer(method, pathname + search, basic, body?.content ?? Buffer.alloc(0));
    if (said.status === 401) {
        throw { tag: "unauthenticated", val: "the login was refused" };
    }
    return { status: said.status, url, headers: Object.entries(said.headers), body: new Blob(said.body) };
}

export function sendAll(requests) {
    return requests.map((request) => {
        try {
            return { tag: "ok", val: send(request) };
        } catch (failure) {
            return { tag: "err", val: failure };
        }
    });
}
