// Writes an export into a folder of its own, says where in one line of JSON on standard output, and changes it as the lines of
// JSON on its standard input ask for. It ends when they do, and the folder with it.

import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const STATES = { "\\Seen": "R", "\\Answered": "A", "\\Flagged": "F", "\\Draft": "D" };

/** An export that can be changed. */
export class Export {
    #letters = [];
    #last = 0;

    constructor(root, user) {
        this.place = join(root, user);
        mkdirSync(join(this.place, "msg"), { recursive: true });
        const states = ["", "R", "RA", "RF"];
        for (let number = 1; number <= 40; number++) {
            const day = String((number % 28) + 1).padStart(2, "0");
            this.add("Inbox", sample(number, "Hello."), states[number % 4], `${day}.03.2003 08:15:00 +0100`);
        }
        this.add("Inbox", sample(41, "Grüße; \"日本\" \\x41"), "R", "31.12.1999 23:59:59 -0800", "Work,Later");
        this.add("Inbox", Buffer.from("Subject: no end\r\n\r\n\0\x01\rlone\nones"), "", "");
        this.add("Sent", sample(42, "x".repeat(300_000)), "R", "01.06.2003 12:00:00 +0200");
        this.add('Work\\Plans; "all"\\a\\\\b', sample(43, "In a folder in a folder."), "D", "02.06.2003 12:00:00 +0530");
        this.write();
    }

    add(folder, content, state = "", received = "", labels = "") {
        const number = ++this.#last;
        const file = `${String(number).padStart(6, "0")}.msg`;
        writeFileSync(join(this.place, "msg", file), letter(content));
        this.#letters.push({ number, folder, file, state, received, labels, content });
    }

    /** The index as it is now. */
    write() {
        const quoted = (field) => (/[;"]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field);
        const lines = this.#letters.map(({ number, folder, file, state, received, labels }) =>
            [String(number), folder, file, state, received, labels].map(quoted).join(";"),
        );
        const index = ["No;Folder;File;State;Received;Labels", ...lines].map((line) => `${line}\r\n`);
        writeFileSync(join(this.place, "index.csv"), `\uFEFF${index.join("")}`);
    }

    content() {
        const folders = [...new Set(this.#letters.map(({ folder }) => folder))];
        const collections = folders.map((folder) => ({
            path: folder.split(/(?<!\\)\\(?!\\)/).map((name) => name.replaceAll("\\\\", "\\")),
            role: { Inbox: "inbox", Sent: "sent" }[folder] ?? null,
            items: this.#letters
                .filter((letter) => letter.folder === folder)
                .map(({ content, state, received }) => ({
                    content: content.toString("base64"),
                    flags: Object.keys(STATES).filter((flag) => state.includes(STATES[flag])),
                    received: rfc3339(received),
                })),
        }));
        return { collections };
    }

    /** Does what a test asks for. */
    done({ do: what, collection, content, flags }) {
        if (what === "content") {
            return this.content();
        }
        if (what === "digest") {
            return { digest: digest(this.place) };
        }
        const wanted = Buffer.from(content, "base64");
        const found = this.#letters.find((one) => one.folder === collection.id && one.content.equals(wanted));
        if (what === "add") {
            this.add(collection.id, wanted);
        } else if (!found) {
            throw new Error("there is no such letter");
        } else if (what === "mark") {
            found.state = flags.map((flag) => STATES[flag] ?? "").join("");
        } else if (what === "remove") {
            this.#letters = this.#letters.filter((one) => one !== found);
            rmSync(join(this.place, "msg", found.file));
        } else {
            throw new Error(`nobody knows the request ${what}`);
        }
        this.write();
        return {};
    }
}

function sample(number, text) {
    return Buffer.from(`From: nobody@example.org\r\nSubject: Letter ${number}\r\n\r\n${text}\r\n`);
}

/** A message in the form of a file. */
export function letter(content) {
    const lines = content.toString("latin1").split("\r\n");
    const last = lines.pop();
    const escaped = (line) =>
        line.replace(/[^ -[\]-~]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
    const marked = [...lines.map((line) => `>${escaped(line)}\n`), ...(last === "" ? [] : [`|${escaped(last)}\n`])];
    return `POSTBOX LETTER 1\n${marked.join("")}`;
}

function rfc3339(received) {
    return received === "" ? null : received.replace(/^(..)\.(..)\.(....) (\S+) (...)(..)$/, "$3-$2-$1T$4$5:$6");
}

/** Of all files below, with their names, contents and times. */
function digest(folder) {
    const hash = createHash("sha256");
    for (const name of readdirSync(folder, { recursive: true }).sort()) {
        const path = join(folder, name);
        const { mtimeMs, mode } = statSync(path);
        hash.update(JSON.stringify([name, mtimeMs, mode]));
        hash.update(statSync(path).isFile() ? readFileSync(path) : "");
    }
    return hash.digest("hex");
}

function main() {
    // Within the project: where it is killed, what it leaves behind lies with all else that is built.
    mkdirSync("build", { recursive: true });
    const root = mkdtempSync(resolve("build", "export-"));
    process.on("exit", () => rmSync(root, { recursive: true, force: true }));
    const made = new Export(root, "alice");
    console.log(JSON.stringify({ ready: { root }, does: ["content", "add", "mark", "remove", "digest"] }));
    const lines = createInterface({ input: process.stdin });
    lines.on("line", (line) => {
        let said;
        try {
            said = made.done(JSON.parse(line));
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
