// The account, written. It is read, too: after a crash the host looks at what is there.

import { Bulletin } from "./bulletin.js";
import { ABILITIES, collection, text, writeCursor } from "./source.js";

// What the provider says that it takes.
const LARGEST = 64 << 20;
// Failures of one thing that are no trouble for the next.
const OF_ONE = ["not-found", "forbidden", "rejected", "too-large"];

export class Account {
    static open(settings) {
        const account = new Account();
        account.bulletin = new Bulletin(settings);
        return account;
    }

    limits(kind) {
        if (kind !== "message") {
            throw { tag: "unsupported", val: "the bulletin holds messages and nothing else" };
        }
        return {
            maxItemBytes: LARGEST,
            batchItems: 50,
            batchBytes: LARGEST,
            maxPathDepth: null,
            maxNameBytes: 200,
            caseInsensitiveNames: false,
            forbiddenInNames: "",
            flags: null,
            quotaFreeBytes: null,
            crlfOnly: false,
            abilities: ABILITIES,
        };
    }

    ensure(wanted) {
        return each(wanted, ({ path, role }) => {
            // The API makes one level at a time, and gives what is there already.
            for (let depth = 1; depth < path.length; depth++) {
                this.bulletin.makeFolder(path.slice(0, depth), null);
            }
            return collection(this.bulletin.makeFolder(path, role ?? null));
        });
    }

    watermark(collection) {
        return writeCursor({ feed: this.bulletin.letters(collection, null, 1).feed });
    }

    put(collection, items) {
        return each(items, ({ meta, content }) => {
            const received = meta.received ? text(meta.received) : null;
            const letter = this.bulletin.add(collection, content, received, meta.flags);
            return { id: letter.id, revision: letter.revision, outcome: "created", alterations: [] };
        });
    }

    mark(collection, remarks) {
        return each(remarks, ({ id, flags }) => this.bulletin.setFlags(collection, id, flags));
    }

    remove(collection, ids) {
        return each(ids, (id) => {
            try {
                this.bulletin.remove(collection, id);
            } catch (failure) {
                if (failure.tag !== "not-found") {
                    throw failure;
                }
            }
        });
    }

    copy() {
        throw { tag: "unsupported", val: "the bulletin cannot copy" };
    }

    relocate() {
        throw { tag: "unsupported", val: "the bulletin cannot move" };
    }

    replace() {
        throw { tag: "unsupported", val: "letters never change" };
    }
}

/** One answer for each, in order. A failure that is not of one thing alone ends the call. */
function each(things, work) {
    return things.map((thing) => {
        try {
            return { tag: "ok", val: work(thing) };
        } catch (failure) {
            if (!OF_ONE.includes(failure.tag)) {
                throw failure;
            }
            return { tag: "err", val: failure };
        }
    });
}
