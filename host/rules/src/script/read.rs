//! What is read of a message's content: its head and its parts.

use rhai::{Array, Dynamic, Engine, ImmutableString};
use whimbrel_mail::Head;

use super::address::Address;
use super::attachment::Attachment;
use super::date::Date;
use super::message::Message;
use super::values::{int, strings};
use super::{Answer, method};
use crate::mail;

pub(super) fn register(engine: &mut Engine) {
    heads(engine);
    people(engine);
    marks(engine);
    bodies(engine);
}

fn text(head: &Head, name: &str) -> ImmutableString {
    head.first(name)
        .map_or_else(ImmutableString::new, |field| field.text().trim().into())
}

fn sent(head: &Head) -> Option<Date> {
    mail::date(head, "Date").map(|(unix, offset)| Date { unix, offset })
}

fn date_or_unit(date: Option<Date>) -> Dynamic {
    date.map_or(Dynamic::UNIT, Dynamic::from)
}

fn heads(engine: &mut Engine) {
    engine.register_get("subject", |m: &mut Message| -> Answer<ImmutableString> {
        Ok(text(m.0.head()?, "Subject"))
    });
    engine.register_get("sent", |m: &mut Message| -> Answer<Dynamic> {
        Ok(date_or_unit(sent(m.0.head()?)))
    });
    engine.register_get("date", |m: &mut Message| -> Answer<Dynamic> {
        let received = m.0.facts.meta.received.map(Date::from);
        Ok(date_or_unit(sent(m.0.head()?).or(received)))
    });
    engine.register_get("message_id", |m: &mut Message| -> Answer<ImmutableString> {
        Ok(mail::message_id(m.0.head()?).into())
    });
    engine.register_get("list_id", |m: &mut Message| -> Answer<ImmutableString> {
        Ok(mail::list_id(m.0.head()?).into())
    });
    engine.register_get("content_type", |m: &mut Message| -> Answer<ImmutableString> {
        Ok(mail::content_type(m.0.head()?).into())
    });
    engine.register_get("headers", |m: &mut Message| -> Answer<Array> {
        Ok(strings(
            m.0.head()?
                .fields()
                .map(|field| String::from_utf8_lossy(field.name()).into_owned()),
        ))
    });
    method!(engine, "header", |m: &mut Message,
                               name: &str|
     -> Answer<ImmutableString> {
        Ok(text(m.0.head()?, name))
    });
    method!(engine, "header_all", |m: &mut Message, name: &str| -> Answer<Array> {
        Ok(strings(
            m.0.head()?.all(name).map(|field| field.text().trim().to_owned()),
        ))
    });
    method!(engine, "header_raw", |m: &mut Message,
                                   name: &str|
     -> Answer<ImmutableString> {
        let field = m.0.head()?.first(name);
        Ok(field.map_or_else(ImmutableString::new, |field| {
            String::from_utf8_lossy(field.value()).into_owned().into()
        }))
    });
    method!(engine, "has_header", |m: &mut Message, name: &str| -> Answer<bool> {
        Ok(m.0.head()?.first(name).is_some())
    });
}

fn addresses(head: &Head, name: &str) -> Vec<Address> {
    let found = mail::addresses(head, name).into_iter();
    found.map(|(name, address)| Address::new(&name, &address)).collect()
}

fn first(head: &Head, name: &str) -> Address {
    addresses(head, name).into_iter().next().unwrap_or_default()
}

fn array(addresses: impl IntoIterator<Item = Address>) -> Array {
    addresses.into_iter().map(Dynamic::from).collect()
}

const RECIPIENTS: [&str; 3] = ["To", "Cc", "Bcc"];

fn people(engine: &mut Engine) {
    for (property, header) in [("from", "From"), ("sender", "Sender"), ("reply_to", "Reply-To")] {
        engine.register_get(property, move |m: &mut Message| -> Answer<Address> {
            Ok(first(m.0.head()?, header))
        });
    }
    for (property, header) in [("to", "To"), ("cc", "Cc"), ("bcc", "Bcc")] {
        engine.register_get(property, move |m: &mut Message| -> Answer<Array> {
            Ok(array(addresses(m.0.head()?, header)))
        });
    }
    engine.register_get("recipients", |m: &mut Message| -> Answer<Array> {
        let head = m.0.head()?;
        Ok(array(RECIPIENTS.into_iter().flat_map(|name| addresses(head, name))))
    });
    method!(engine, "is_from", |m: &mut Message, text: &str| -> Answer<bool> {
        Ok(addresses(m.0.head()?, "From")
            .iter()
            .any(|address| address.matches(text)))
    });
    method!(engine, "is_to", |m: &mut Message, text: &str| -> Answer<bool> {
        let head = m.0.head()?;
        let mut all = RECIPIENTS.into_iter().flat_map(|name| addresses(head, name));
        Ok(all.any(|address| address.matches(text)))
    });
}

/// The number that a value begins with.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || "+-.".contains(c)))
        .unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

fn spam_score(head: &Head) -> Option<f64> {
    let of = |name: &str| head.first(name).map(|field| field.text());
    let plain = of("X-Spam-Score").and_then(|text| number(&text));
    let status = || {
        let text = of("X-Spam-Status")?;
        let (_, score) = text.split_once("score=")?;
        number(score)
    };
    plain
        .or_else(status)
        .or_else(|| of("X-Rspamd-Score").and_then(|text| number(&text)))
        .or_else(|| of("X-MS-Exchange-Organization-SCL").and_then(|text| number(&text)))
}

fn says_yes(head: &Head, name: &str) -> bool {
    let begins = |text: &str| text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("yes"));
    head.all(name).any(|field| begins(field.text().trim()))
}

fn marks(engine: &mut Engine) {
    engine.register_get("spam_score", |m: &mut Message| -> Answer<Dynamic> {
        Ok(spam_score(m.0.head()?).map_or(Dynamic::UNIT, Dynamic::from))
    });
    engine.register_get("marked_spam", |m: &mut Message| -> Answer<bool> {
        if m.0.has_flag("$Junk") || m.0.has_flag("Junk") {
            return Ok(true);
        }
        let head = m.0.head()?;
        Ok(says_yes(head, "X-Spam-Flag") || says_yes(head, "X-Spam-Status"))
    });
    engine.register_get("signed", |m: &mut Message| -> Answer<bool> {
        Ok(m.0.head()?.is_signed())
    });
    engine.register_get("dkim_signed", |m: &mut Message| -> Answer<bool> {
        Ok(m.0.head()?.is_dkim_signed())
    });
    engine.register_get("encrypted", |m: &mut Message| -> Answer<bool> {
        Ok(m.0.head()?.is_encrypted())
    });
}

fn bodies(engine: &mut Engine) {
    engine.register_get("attachments", |m: &mut Message| -> Answer<Array> {
        let found = mail::attachments(m.0.structure()?).into_iter();
        let seen = found.map(|attachment| Attachment {
            name: attachment.name.into(),
            kind: attachment.content_type.into(),
            size: int(attachment.size),
            inline: attachment.inline,
        });
        Ok(seen.map(Dynamic::from).collect())
    });
    engine.register_get("text", |m: &mut Message| -> Answer<ImmutableString> {
        Ok(m.0.text()?.clone())
    });
}
