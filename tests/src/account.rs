//! An account as it is: folders and messages, read through the independent client.

use crate::imap::{Body, Imap, Listed};

/// All of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Sorted by path once read.
    pub folders: Vec<Folder>,
}

/// One folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    /// Names, root first; `INBOX` is a path of one.
    pub path: Vec<String>,
    /// Its special use, e.g. `\Sent` (RFC 6154).
    pub special: Option<String>,
    /// Whether it is subscribed to.
    pub subscribed: bool,
    /// Whether it can hold messages.
    pub selectable: bool,
    /// In the order in which they lie there.
    pub messages: Vec<Message>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its content.
    pub body: Body,
    /// Flags and keywords, sorted, without `\Recent`.
    pub flags: Vec<String>,
    /// When it was received, in seconds since 1970.
    pub received: i64,
}

impl Folder {
    /// A folder that can hold messages and is subscribed to.
    pub fn new(path: &[&str]) -> Self {
        let path = path.iter().map(|&name| name.to_owned()).collect();
        Self {
            path,
            special: None,
            subscribed: true,
            selectable: true,
            messages: Vec::new(),
        }
    }

    /// The same with these messages.
    pub fn with(mut self, messages: Vec<Message>) -> Self {
        self.messages = messages;
        self
    }

    /// The same with a special use.
    pub fn special(mut self, special: &str) -> Self {
        self.special = Some(special.to_owned());
        self
    }
}

impl Message {
    /// From its parts.
    pub fn new(body: &[u8], flags: &[&str], received: i64) -> Self {
        Self {
            body: Body::of(body),
            flags: sorted(flags.iter().map(|&flag| flag.to_owned()).collect()),
            received,
        }
    }

    /// Its bytes; a panic for one so large that they were not kept.
    pub fn bytes(&self) -> &[u8] {
        self.body.bytes.as_deref().expect("a message whose bytes were kept")
    }
}

impl Account {
    /// Reads everything, without changing anything (EXAMINE and BODY.PEEK).
    pub fn read(imap: &mut Imap) -> Self {
        let listed = imap.list();
        let subscribed = imap.subscribed();
        let mut folders = Vec::with_capacity(listed.len());
        for folder in listed.iter().filter(|folder| !folder.has("\\NonExistent")) {
            let selectable = !folder.has("\\Noselect");
            let messages = if selectable && imap.examine(&folder.name) > 0 {
                imap.fetch_all()
                    .into_iter()
                    .map(|message| Message {
                        body: message.body,
                        flags: sorted(message.flags),
                        received: message.received,
                    })
                    .collect()
            } else {
                Vec::new()
            };
            folders.push(Folder {
                path: path(folder),
                special: special(folder),
                subscribed: subscribed.contains(&folder.name),
                selectable,
                messages,
            });
        }
        folders.sort_by(|a, b| a.path.cmp(&b.path));
        Self { folders }
    }

    /// The folder at this path.
    pub fn folder(&self, path: &[&str]) -> &Folder {
        self.folders
            .iter()
            .find(|folder| folder.path == path)
            .unwrap_or_else(|| {
                let known: Vec<String> = self.folders.iter().map(|folder| folder.path.join(" > ")).collect();
                panic!("no folder {path:?} among {known:?}")
            })
    }

    /// The same, made where it is missing.
    pub fn folder_mut(&mut self, path: &[&str]) -> &mut Folder {
        if !self.folders.iter().any(|folder| folder.path == path) {
            self.folders.push(Folder::new(path));
        }
        let at = self.folders.iter().position(|folder| folder.path == path);
        &mut self.folders[at.expect("made where it was missing")]
    }

    /// How many messages it holds.
    pub fn count(&self) -> usize {
        self.folders.iter().map(|folder| folder.messages.len()).sum()
    }

    /// How many bytes they have.
    pub fn bytes(&self) -> u64 {
        self.folders
            .iter()
            .flat_map(|folder| &folder.messages)
            .map(|message| message.body.size)
            .sum()
    }
}

fn path(folder: &Listed) -> Vec<String> {
    let mut path: Vec<String> = match folder.separator {
        Some(separator) => folder.name.split(separator).map(str::to_owned).collect(),
        None => vec![folder.name.clone()],
    };
    if path[0].eq_ignore_ascii_case("INBOX") {
        "INBOX".clone_into(&mut path[0]);
    }
    path
}

fn special(folder: &Listed) -> Option<String> {
    let uses = [
        "\\All",
        "\\Archive",
        "\\Drafts",
        "\\Flagged",
        "\\Junk",
        "\\Sent",
        "\\Trash",
        "\\Important",
    ];
    uses.iter()
        .find(|known| folder.has(known))
        .map(|&known| known.to_owned())
}

/// Sorted, without `\Recent`.
pub fn sorted(mut flags: Vec<String>) -> Vec<String> {
    flags.retain(|flag| !flag.eq_ignore_ascii_case("\\Recent"));
    flags.sort();
    flags.dedup();
    flags
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Year, month (from 1), day, hour, minute and second in UTC of seconds since 1970.
pub fn civil(seconds: i64) -> (i64, i64, i64, i64, i64, i64) {
    let days = seconds.div_euclid(86_400);
    let rest = seconds.rem_euclid(86_400);
    // Howard Hinnant, "chrono-compatible low-level date algorithms".
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    (
        year,
        month,
        doy - (153 * mp + 2) / 5 + 1,
        rest / 3600,
        rest / 60 % 60,
        rest % 60,
    )
}

/// Seconds since 1970 of a date and time in UTC.
pub fn instant(year: i64, month: i64, day: i64, hour: i64, minute: i64, second: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    (era * 146_097 + doe - 719_468) * 86_400 + hour * 3600 + minute * 60 + second
}

/// As IMAP writes a date-time (RFC 9051, 9), in UTC.
pub fn date(seconds: i64) -> String {
    let (year, month, day, hour, minute, second) = civil(seconds);
    let month = MONTHS[usize::try_from(month - 1).expect("a month")];
    format!("{day:2}-{month}-{year:04} {hour:02}:{minute:02}:{second:02} +0000")
}

/// As asctime writes it, in UTC: the date of an mbox's `From ` line.
pub fn asctime(seconds: i64) -> String {
    let (year, month, day, hour, minute, second) = civil(seconds);
    let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let weekday = weekdays[usize::try_from(seconds.div_euclid(86_400).rem_euclid(7)).expect("a weekday")];
    let month = MONTHS[usize::try_from(month - 1).expect("a month")];
    format!("{weekday} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year:04}")
}

/// The reverse of [`date`], in any zone.
pub fn parse_date(text: &str) -> i64 {
    let wrong = || -> ! { panic!("no IMAP date: {text:?}") };
    let words: Vec<&str> = text.split_whitespace().collect();
    let [date, time, zone] = words[..] else { wrong() };
    let parts: Vec<&str> = date.split('-').chain(time.split(':')).collect();
    let [day, month, year, hour, minute, second] = parts[..] else {
        wrong()
    };
    let number = |text: &str| text.parse::<i64>().unwrap_or_else(|_| wrong());
    let month = MONTHS
        .iter()
        .position(|&known| known == month)
        .unwrap_or_else(|| wrong());
    let month = i64::try_from(month).expect("small") + 1;
    let offset = number(&zone[1..3]) * 3600 + number(&zone[3..5]) * 60;
    let offset = if zone.starts_with('-') { -offset } else { offset };
    instant(
        number(year),
        month,
        number(day),
        number(hour),
        number(minute),
        number(second),
    ) - offset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_there_and_back() {
        assert_eq!(date(0), " 1-Jan-1970 00:00:00 +0000");
        assert_eq!(parse_date("17-Jul-1996 02:44:25 -0700"), 837_596_665);
        assert_eq!(asctime(837_596_665), "Wed Jul 17 09:44:25 1996");
        for seconds in [0, 951_782_400, 1_709_164_799, 4_102_444_800, 837_596_665] {
            assert_eq!(parse_date(&date(seconds)), seconds);
        }
    }
}
