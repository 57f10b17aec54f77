//! Repairs of messages that a destination refused as they are: opted for by name, tried only after that, one alone where
//! one is enough, and recorded by name.

use std::io;

use bytes::Bytes;
use tokio::sync::mpsc;
use whimbrel_mail::{Head, Repair};
use whimbrel_model::{Failure, Fingerprint, ItemMeta, Timestamp};
use whimbrel_wire::Blob;

use crate::{
    context::Context,
    prepare::Ready,
    quarantine,
    rules::{BlobContent, DKIM_BROKEN},
};

/// A repair that an admin can opt for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RepairKind {
    /// Of the bytes.
    Bytes(Repair),
    /// Flags that a server may not know are dropped.
    Flags,
    /// A date of receipt that cannot be right gives way to one from the head.
    Dates,
}

impl RepairKind {
    /// All of them, those that change least first.
    pub fn all() -> impl Iterator<Item = Self> {
        Repair::ALL
            .into_iter()
            .map(Self::Bytes)
            .chain([Self::Flags, Self::Dates])
    }

    /// Its name, in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes(repair) => repair.name(),
            Self::Flags => "flags",
            Self::Dates => "dates",
        }
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|repair| repair.name() == name)
    }

    /// What it does, as a sentence.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Bytes(Repair::FinalCrlf) => "A line end is added at the end, where there is none.",
            Self::Bytes(Repair::Nul) => "NUL bytes are taken out.",
            Self::Bytes(Repair::EightBitHeaders) => {
                "Bytes beyond ASCII in heads become encoded words (RFC 2047) and extended parameters (RFC 2231)."
            }
            Self::Bytes(Repair::LongLines) => {
                "A part with a line of more than 998 bytes is encoded as quoted-printable or base64, a field with one is \
                 folded; nothing is wrapped."
            }
            Self::Flags => {
                "Flags that are not among the usual ones are dropped; keywords too, where there are none of those."
            }
            Self::Dates => {
                "A date of receipt before 1980 or after 2100 gives way to that of the topmost `Received` field, else of `Date`."
            }
        }
    }
}

/// Which repairs are tried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepairOptions {
    /// In the order of trying; empty: exact bytes only.
    pub kinds: Vec<RepairKind>,
    /// Whether the original of a repaired message is kept in the quarantine folder.
    pub keep_original: bool,
}

/// Recorded where the date of receipt was replaced.
pub const DATE_REPLACED: &str = "date-replaced";
/// Recorded where flags, or keywords, were dropped; formats use the same names.
const FLAG_DROPPED: &str = "flag-dropped";
const KEYWORD_DROPPED: &str = "keyword-dropped";

/// The system flags that every server knows (RFC 9051 section 2.3.2).
const USUAL: [&str; 5] = ["\\answered", "\\deleted", "\\draft", "\\flagged", "\\seen"];

/// A message that is tried with repairs.
pub struct Trial {
    /// Why it was refused as it is.
    pub refusal: Failure,
    /// As it is.
    exact: Exact,
    /// Tries so far.
    tried: usize,
}

struct Exact {
    content: Blob,
    meta: ItemMeta,
    put: Option<Fingerprint>,
    repairs: Vec<String>,
}

/// The message with the next repair that changes anything; the message as it was, with its first refusal, where none is
/// left to try.
pub async fn next(context: &Context, mut one: Ready, refusal: Failure) -> Result<Ready, Box<(Ready, Failure)>> {
    let kinds = &context.options.repairs.kinds;
    let repairable = matches!(refusal, Failure::Rejected(_));
    let trial = one.trial.take();
    let mut trial = match trial {
        Some(trial) => *trial,
        None if !repairable || kinds.is_empty() => return Err(Box::new((one, refusal))),
        None => Trial {
            refusal,
            exact: Exact {
                content: one.item.content.clone(),
                meta: one.item.meta.clone(),
                put: one.put,
                repairs: one.repairs.clone(),
            },
            tried: 0,
        },
    };
    loop {
        // Each alone, and then all together.
        let chosen = match trial.tried {
            at if at < kinds.len() => &kinds[at..=at],
            at if at == kinds.len() && kinds.len() > 1 => &kinds[..],
            _ => break,
        };
        trial.tried += 1;
        match apply(context, &mut one, &trial.exact, chosen).await {
            Ok(0) => {}
            // The same was tried alone.
            Ok(1) if chosen.len() > 1 => {}
            Ok(_) => {
                // Before it is put: whatever happens then, the original is there.
                keep_original(context, &one).await;
                one.trial = Some(Box::new(trial));
                return Ok(one);
            }
            Err(error) => {
                context.note(format!("a refused message could not be repaired: {error}"));
                break;
            }
        }
    }
    let Trial { refusal, exact, .. } = trial;
    restore(&mut one, &exact);
    Err(Box::new((one, refusal)))
}

fn restore(one: &mut Ready, exact: &Exact) {
    one.item.content = exact.content.clone();
    one.item.meta = exact.meta.clone();
    one.put = exact.put;
    one.repairs.clone_from(&exact.repairs);
}

/// Makes these repairs from what the message was; tells how many changed anything.
async fn apply(context: &Context, one: &mut Ready, exact: &Exact, chosen: &[RepairKind]) -> io::Result<usize> {
    restore(one, exact);
    let mut made = 0;
    for kind in chosen {
        let names = match kind {
            RepairKind::Bytes(repair) => bytes(context, one, *repair).await?,
            RepairKind::Flags => flags(&mut one.item.meta),
            RepairKind::Dates => date(one).await?,
        };
        made += usize::from(!names.is_empty());
        one.repairs.extend(names);
    }
    Ok(made)
}

async fn bytes(context: &Context, one: &mut Ready, repair: Repair) -> io::Result<Vec<String>> {
    let Some(repaired) = remake(context, &one.item.content, repair).await? else {
        return Ok(Vec::new());
    };
    let mut names = vec![repair.name().to_owned()];
    let signed = head_of(&one.item.content).await?.is_dkim_signed();
    if signed && !one.repairs.iter().any(|name| name == DKIM_BROKEN) {
        names.push(DKIM_BROKEN.to_owned());
    }
    one.put = Some(repaired.fingerprint().await?);
    one.item.meta.size = Some(repaired.size());
    one.item.content = repaired;
    Ok(names)
}

/// The repaired body, built piece by piece; none where there is nothing to repair.
async fn remake(context: &Context, content: &Blob, repair: Repair) -> io::Result<Option<Blob>> {
    let (sender, mut pieces) = mpsc::channel::<Bytes>(4);
    let content = BlobContent(content.clone());
    let making = tokio::task::spawn_blocking(move || {
        repair.make(&content, &mut |piece| {
            let gone = |_| io::Error::other("nobody takes the repaired body");
            sender.blocking_send(piece).map_err(gone)
        })
    });
    let mut writer = context.options.blobs.writer();
    while let Some(piece) = pieces.recv().await {
        writer.write(&piece).await?;
    }
    let made = match making.await {
        Ok(made) => made?,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    };
    match made {
        true => Ok(Some(writer.finish().await?)),
        false => Ok(None),
    }
}

async fn head_of(content: &Blob) -> io::Result<Head> {
    let content = BlobContent(content.clone());
    match tokio::task::spawn_blocking(move || Head::read(&content)).await {
        Ok(head) => head,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// Drops what a server may not know; names what went.
fn flags(meta: &mut ItemMeta) -> Vec<String> {
    let usual = |flag: &String| USUAL.iter().any(|known| flag.eq_ignore_ascii_case(known));
    let atom = |byte: u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte);
    let keyword = |flag: &String| !flag.is_empty() && flag.bytes().all(atom);
    let odd = meta.flags.iter().any(|flag| !usual(flag) && !keyword(flag));
    let (kept, gone): (Vec<String>, Vec<String>) = std::mem::take(&mut meta.flags)
        .into_iter()
        .partition(|flag| usual(flag) || odd && keyword(flag));
    meta.flags = kept;
    let system = |flag: &String| flag.starts_with('\\');
    let mut names = Vec::new();
    if gone.iter().any(system) {
        names.push(FLAG_DROPPED.to_owned());
    }
    if gone.iter().any(|flag| !system(flag)) {
        names.push(KEYWORD_DROPPED.to_owned());
    }
    names.extend(gone.into_iter().map(|flag| format!("dropped {flag}")));
    names
}

/// 1980-01-01 and 2100-01-01, in seconds since 1970: mail is not older, and not from so far ahead.
const SANE: std::ops::Range<i64> = 315_532_800..4_102_444_800;

async fn date(one: &mut Ready) -> io::Result<Vec<String>> {
    let sane = |unix: i64| SANE.contains(&unix);
    let Some(received) = one.item.meta.received.filter(|received| !sane(received.unix_seconds())) else {
        return Ok(Vec::new());
    };
    let head = head_of(&one.item.content).await?;
    let traced = head.first("Received").and_then(|field| field.trace_date());
    let found = traced.or_else(|| head.date("Date")).filter(|date| sane(date.unix));
    one.item.meta.received = found.map(|date| Timestamp {
        unix_ms: date.unix.saturating_mul(1000),
        offset_minutes: i16::try_from(date.offset_minutes).unwrap_or_default(),
    });
    Ok(vec![
        DATE_REPLACED.to_owned(),
        format!("date was {}", received.unix_seconds()),
    ])
}

/// Keeps the original of a message that is put with repairs, where that is wanted.
async fn keep_original(context: &Context, one: &Ready) {
    let wanted = context.options.repairs.keep_original;
    let Some(folder) = context.options.quarantine.as_ref().filter(|_| wanted) else {
        return;
    };
    let hash = one.fingerprint.exact.to_string();
    let original = (one.item.media_type.as_str(), &one.original);
    if let Err(error) = quarantine::keep(folder, &context.mailbox.name, &hash[..32], original).await {
        context.note(format!(
            "the original of a repaired message could not be kept in {}: {error}",
            folder.display()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(flags: &[&str]) -> ItemMeta {
        ItemMeta {
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            ..ItemMeta::default()
        }
    }

    #[test]
    fn odd_flags_go_first_and_keywords_where_there_are_none() {
        let mut odd = meta(&["\\Seen", "\\FORWARDED", "Work", "a b"]);
        let names = flags(&mut odd);
        assert_eq!(odd.flags, ["\\Seen", "Work"]);
        assert_eq!(
            names,
            ["flag-dropped", "keyword-dropped", "dropped \\FORWARDED", "dropped a b"]
        );
        let mut plain = meta(&["\\Seen", "Work"]);
        assert_eq!(flags(&mut plain), ["keyword-dropped", "dropped Work"]);
        assert_eq!(plain.flags, ["\\Seen"]);
        assert!(flags(&mut plain).is_empty());
    }

    #[test]
    fn every_repair_has_a_name_of_its_own() {
        for repair in RepairKind::all() {
            assert_eq!(RepairKind::named(repair.name()), Some(repair));
            assert!(!repair.summary().is_empty());
        }
        assert_eq!(RepairKind::named("magic"), None);
    }
}
