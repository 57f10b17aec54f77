// Text to bytes and back: the engine that runs in a component has no TextEncoder.

/** The bytes of a text. */
export function encode(text) {
    return Uint8Array.from(unescape(encodeURIComponent(text.toWellFormed())), (letter) => letter.charCodeAt(0));
}

/** The text of bytes. Throws where they are no UTF-8. */
export function decode(bytes) {
    let letters = "";
    for (let at = 0; at < bytes.length; at += 4096) {
        letters += String.fromCharCode(...bytes.subarray(at, at + 4096));
    }
    return decodeURIComponent(escape(letters));
}
