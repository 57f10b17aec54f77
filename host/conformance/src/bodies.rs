//! Contents that mail systems stumble over, put and read back.

use bytes::Bytes;
use whimbrel_model::{Failure, Fingerprint, Fingerprinter, Placement};

use crate::putting::{contents, place};
use crate::samples;
use crate::suite::{Case, Stop, Suite, Verdict, case, check, only};

/// The cases of this theme.
pub const CASES: &[Case] = &[
    case!("bodies/plain", plain, "an ordinary message"),
    case!("bodies/empty-body", empty_body, "a message without a body"),
    case!(
        "bodies/one-header",
        one_header,
        "a single header field and nothing else"
    ),
    case!("bodies/nothing", nothing, "no bytes at all"),
    case!(
        "bodies/eight-bit",
        eight_bit,
        "bytes above 127 in header and body, in and out of UTF-8"
    ),
    case!("bodies/nul", nul, "NUL bytes"),
    case!("bodies/long-line", long_line, "a line of 12,000 bytes"),
    case!(
        "bodies/bare-line-feed",
        bare_line_feed,
        "line feeds without carriage returns"
    ),
    case!(
        "bodies/bare-carriage-return",
        bare_carriage_return,
        "carriage returns without line feeds"
    ),
    case!(
        "bodies/no-final-newline",
        no_final_newline,
        "a last line without an end"
    ),
    case!("bodies/blank-lines", blank_lines, "blank lines at the end"),
    case!(
        "bodies/from-lines",
        from_lines,
        "lines that begin with \"From \", quoted and not"
    ),
    case!("bodies/dot-lines", dot_lines, "lines that begin with a dot"),
    case!(
        "bodies/status-headers",
        status_headers,
        "header fields that mail stores use for themselves"
    ),
    case!("bodies/broken-mime", broken_mime, "a multipart without an end"),
    case!("bodies/large", large, "a message of 5 MiB"),
];

/// How a content may come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    /// Every mail system keeps it.
    Plain,
    /// Some servers refuse it or change what mail stores change (CR, NUL, line ends at the end): then the case is
    /// skipped, and says so.
    Odd,
}

async fn round_trip(suite: &mut Suite<'_>, name: &str, grade: Grade, content: Bytes) -> Verdict {
    if name != "plain" {
        suite.messages_only()?;
    }
    let (mut destination, limits, collection) = suite.fresh(&format!("body-{name}")).await?;
    let content = if limits.crlf_only {
        samples::with_crlf(&content)
    } else {
        content
    };
    let answer = only(
        place(&mut destination, &collection.id, vec![samples::item(content.clone())]).await?,
        "put",
    )?;
    let placement = match answer {
        Ok(placement) => placement,
        Err(failure @ (Failure::Rejected(_) | Failure::TooLarge(_))) if grade == Grade::Odd => {
            let there = contents(&mut destination, &collection.id).await?.len();
            check!(there == 0, "`put` failed ({failure}), and {there} items are there");
            return Err(Stop::Skipped(format!("the destination does not take it: {failure}")));
        }
        Err(failure) => return Err(Stop::Failed(format!("`put` failed: {failure}"))),
    };
    // In an account opened anew, so that nothing comes out of a cache.
    let there = contents(&mut suite.destination().await?, &collection.id).await?;
    let [(_, back)] = there.as_slice() else {
        return Err(Stop::Failed(format!(
            "one message was put, and {} are there",
            there.len()
        )));
    };
    compare(grade, &content, back, &placement)
}

fn compare(grade: Grade, put: &[u8], back: &[u8], placement: &Placement) -> Verdict {
    if put == back || !placement.alterations.is_empty() {
        return Ok(());
    }
    let at = put.iter().zip(back).take_while(|(a, b)| a == b).count();
    let text = format!(
        "{} bytes were put and {} came back, different from byte {at} on",
        put.len(),
        back.len()
    );
    if grade == Grade::Odd && print(put).transport == print(back).transport {
        return Err(Stop::Skipped(format!(
            "the destination changes what mail stores change: {text}"
        )));
    }
    Err(Stop::Failed(format!("{text}, and the placement names no alteration")))
}

fn print(bytes: &[u8]) -> Fingerprint {
    let mut printer = Fingerprinter::new();
    printer.update(bytes);
    printer.finish()
}

async fn plain(suite: &mut Suite<'_>) -> Verdict {
    let content = samples::sample(suite.kind(), "conformance plain");
    round_trip(suite, "plain", Grade::Plain, content).await
}

async fn empty_body(suite: &mut Suite<'_>) -> Verdict {
    round_trip(
        suite,
        "empty",
        Grade::Plain,
        samples::with_body("conformance empty", b""),
    )
    .await
}

async fn one_header(suite: &mut Suite<'_>) -> Verdict {
    round_trip(
        suite,
        "one-header",
        Grade::Odd,
        Bytes::from_static(b"Subject: conformance\r\n"),
    )
    .await
}

async fn nothing(suite: &mut Suite<'_>) -> Verdict {
    round_trip(suite, "nothing", Grade::Odd, Bytes::new()).await
}

async fn eight_bit(suite: &mut Suite<'_>) -> Verdict {
    let header = b"From: b@example.org\r\nSubject: caf\xe9 \xc3\xa9 \xff\xfe\r\n\r\n";
    let body: Vec<u8> = (128..=255).chain(*b"\r\n").collect();
    round_trip(suite, "eight-bit", Grade::Plain, [&header[..], &body].concat().into()).await
}

async fn nul(suite: &mut Suite<'_>) -> Verdict {
    round_trip(
        suite,
        "nul",
        Grade::Odd,
        samples::with_body("conformance nul", b"a\0b\r\n\0\0\r\n"),
    )
    .await
}

async fn long_line(suite: &mut Suite<'_>) -> Verdict {
    let line = [&b"0123456789".repeat(1200)[..], b"\r\n"].concat();
    round_trip(
        suite,
        "long-line",
        Grade::Odd,
        samples::with_body("conformance long line", &line),
    )
    .await
}

async fn bare_line_feed(suite: &mut Suite<'_>) -> Verdict {
    round_trip(
        suite,
        "bare-lf",
        Grade::Odd,
        samples::with_body("conformance bare LF", b"a\nb\r\nc\n\n\nd\r\n"),
    )
    .await
}

async fn bare_carriage_return(suite: &mut Suite<'_>) -> Verdict {
    round_trip(
        suite,
        "bare-cr",
        Grade::Odd,
        samples::with_body("conformance bare CR", b"a\rb\r\r\nc\r\n"),
    )
    .await
}

async fn no_final_newline(suite: &mut Suite<'_>) -> Verdict {
    round_trip(
        suite,
        "no-newline",
        Grade::Plain,
        samples::with_body("conformance no newline", b"the end"),
    )
    .await
}

async fn blank_lines(suite: &mut Suite<'_>) -> Verdict {
    round_trip(
        suite,
        "blank-lines",
        Grade::Plain,
        samples::with_body("conformance blank lines", b"\r\n\r\na\r\n\r\n\r\n"),
    )
    .await
}

async fn from_lines(suite: &mut Suite<'_>) -> Verdict {
    let body = b"From here\r\n\r\nFrom me@example.org Thu Jan  2 03:04:05 2020\r\n>From there\r\n>>From\r\n>>From far\r\n From\r\n";
    round_trip(
        suite,
        "from-lines",
        Grade::Plain,
        samples::with_body("conformance From", body),
    )
    .await
}

async fn dot_lines(suite: &mut Suite<'_>) -> Verdict {
    let body = b".\r\n..\r\n.a\r\n)\r\nA1 OK done\r\n* BYE\r\n{3}\r\n{3+}\r\n";
    round_trip(
        suite,
        "dot-lines",
        Grade::Plain,
        samples::with_body("conformance dots", body),
    )
    .await
}

async fn status_headers(suite: &mut Suite<'_>) -> Verdict {
    let fields = "Status: RO\r\nX-Status: AF\r\nX-Keywords: old\r\nX-UID: 7\r\nX-IMAPbase: 1 2\r\nContent-Length: 99\r\nLines: 3\r\n";
    suite.messages_only()?;
    let message = samples::message("conformance status");
    round_trip(
        suite,
        "status",
        Grade::Plain,
        [fields.as_bytes(), &message].concat().into(),
    )
    .await
}

async fn broken_mime(suite: &mut Suite<'_>) -> Verdict {
    let message = "From: m@example.org\r\nSubject: =?utf-8?B?broken\r\nContent-Type: multipart/mixed; boundary=\"x\r\n\
                   Content-Type: multipart/alternative\r\n\tfolded: badly\r\nno colon here\r\n: no name\r\n\r\n\
                   --x\r\nContent-Type: text/plain\r\n\r\none\r\n--y--\r\n";
    round_trip(
        suite,
        "broken-mime",
        Grade::Plain,
        Bytes::from_static(message.as_bytes()),
    )
    .await
}

async fn large(suite: &mut Suite<'_>) -> Verdict {
    let mut body = Vec::with_capacity(5 * 1024 * 1024 + 80);
    let mut number = 0u32;
    while body.len() < 5 * 1024 * 1024 {
        body.extend_from_slice(
            format!("line {number:08} 0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLM\r\n").as_bytes(),
        );
        number += 1;
    }
    round_trip(
        suite,
        "large",
        Grade::Odd,
        samples::with_body("conformance large", &body),
    )
    .await
}

#[cfg(test)]
mod tests {
    use whimbrel_model::Outcome;

    use super::*;

    fn placement(alterations: &[&str]) -> Placement {
        let alterations = alterations.iter().map(|name| (*name).to_owned()).collect();
        Placement {
            id: None,
            revision: None,
            outcome: Outcome::Created,
            alterations,
        }
    }

    #[test]
    fn contents_are_exact_or_their_alterations_named() {
        let (silent, honest) = (placement(&[]), placement(&["final-newline"]));
        assert_eq!(compare(Grade::Plain, b"abc", b"abc", &silent), Ok(()));
        assert_eq!(compare(Grade::Plain, b"abc", b"abc\n", &honest), Ok(()));
        assert!(
            matches!(compare(Grade::Plain, b"abc", b"abc\n", &silent), Err(Stop::Failed(text)) if text.contains("byte 3 on"))
        );
        assert!(matches!(
            compare(Grade::Odd, b"a\0c", b"a\x80c\r\n", &silent),
            Err(Stop::Skipped(_))
        ));
        assert!(matches!(
            compare(Grade::Odd, b"abc", b"abd", &silent),
            Err(Stop::Failed(_))
        ));
    }
}
