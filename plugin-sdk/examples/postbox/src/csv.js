// Lines of a table: fields between semicolons, in double quotes where they hold one.

/** The fields of a line, or null where it is no line of a table. */
export function fields(line) {
    const found = [];
    let rest = line;
    for (;;) {
        const [whole, quoted, plain] = /^(?:"((?:[^"]|"")*)"|([^";]*))(?=;|$)/.exec(rest) ?? [];
        if (whole === undefined) {
            return null;
        }
        found.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
        if (whole.length === rest.length) {
            return found;
        }
        rest = rest.slice(whole.length + 1);
    }
}

/** `Work\Plans` as segments; a doubled backslash is one of a name. */
export function segments(folder) {
    return [...folder.matchAll(/(?:[^\\]|\\\\)+/g)].map(([segment]) => segment.replaceAll("\\\\", "\\"));
}

/** `24.12.2003 18:30:00 +0100` as an instant of the contract, or null. */
export function instant(text) {
    const match = /^(\d\d)\.(\d\d)\.(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)$/.exec(text);
    if (!match) {
        return null;
    }
    const [day, month, year, hour, minute, second] = match.slice(1, 7).map(Number);
    const offset = (Number(match[8]) * 60 + Number(match[9])) * (match[7] === "-" ? -1 : 1);
    const local = Date.UTC(year, month - 1, day, hour, minute, second);
    return { unixMs: local - offset * 60_000, offsetMinutes: offset };
}
