// The form of a letter: one line of the file for each of the message, decoded piece by piece.

const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;
const BACKSLASH = 92;
const FIRST = "POSTBOX LETTER 1";
// A line of a file is longer than that of its message, by four at most. Longer ones are no letters.
const LONGEST = 1 << 20;

/** Takes the bytes of a file, however they are cut, and gives those of the message. */
export class Decoder {
    #line = [];
    #number = 0;
    #ended = false;

    /** The bytes that `piece` leads to. Throws an `Error` that says what is wrong. */
    push(piece) {
        const made = [];
        for (const byte of piece) {
            if (byte === LINE_FEED) {
                this.#decode(made);
                this.#line = [];
            } else if (this.#line.push(byte) > LONGEST) {
                throw new Error(`line ${this.#number + 1} is too long`);
            }
        }
        return made;
    }

    /** After the last piece. */
    finish() {
        if (this.#number === 0 || this.#line.length > 0) {
            throw new Error("it is cut off");
        }
    }

    #decode(made) {
        this.#number += 1;
        const wrong = (what) => new Error(`line ${this.#number} ${what}`);
        if (this.#number === 1) {
            if (String.fromCharCode(...this.#line.slice(0, 80)) !== FIRST) {
                throw wrong(`is not \`${FIRST}\``);
            }
            return;
        }
        const mark = String.fromCharCode(this.#line[0] ?? 0);
        if (this.#ended || (mark !== ">" && mark !== "|")) {
            throw wrong("is none of a message");
        }
        for (let at = 1; at < this.#line.length; at++) {
            const byte = this.#line[at];
            if (byte !== BACKSLASH) {
                made.push(byte);
                continue;
            }
            const escape = String.fromCharCode(...this.#line.slice(at + 1, at + 4));
            if (!/^x[0-9A-F]{2}$/.test(escape)) {
                throw wrong("holds a backslash that begins nothing");
            }
            made.push(Number.parseInt(escape.slice(1), 16));
            at += 3;
        }
        if (mark === ">") {
            made.push(CARRIAGE_RETURN, LINE_FEED);
        } else {
            this.#ended = true;
        }
    }
}
