// A host without a sandbox, for `node --test`: bodies in memory, and a folder that a test names.
//
// It is loaded first (`--import`), and stands in for what the connector imports from `whimbrel:connector/…`.
// `whimbrel plugin test` is the test that counts; this one takes no build.

import { existsSync, readFileSync } from "node:fs";
import { register } from "node:module";
import { join } from "node:path";

const HOOKS = `export const resolve = (name, context, next) =>
    name.startsWith("whimbrel:connector/") ? { url: ${JSON.stringify(import.meta.url)}, shortCircuit: true }
        : next(name, context);`;
register(`data:text/javascript,${encodeURIComponent(HOOKS)}`);

/** What is granted. */
export const granted = { root: "" };

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

export class Writer {
    #pieces = [];

    write(bytes) {
        this.#pieces.push(Buffer.from(bytes));
    }

    static finish(writer) {
        return new Blob(Buffer.concat(writer.#pieces));
    }
}

export class Folder {
    static open(setting) {
        const folder = new Folder();
        folder.root = granted[setting];
        return folder;
    }

    stat(path) {
        return existsSync(join(this.root, path)) ? {} : null;
    }

    read(path) {
        return new Blob(readFileSync(join(this.root, path)));
    }
}
