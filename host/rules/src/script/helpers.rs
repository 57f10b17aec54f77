//! Functions that belong to no type of ours.

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, ImmutableString};

use super::values::short;
use super::{Answer, refuse};
use crate::shared::Shared;

/// Bytes of one line that `print` or `debug` give to the log.
const MOST_LOGGED: usize = 1000;

/// Bytes of a pattern.
const MOST_PATTERN: usize = 10_000;

pub(super) fn register(engine: &mut Engine, shared: &Arc<Shared>) {
    sizes(engine);
    texts(engine, shared);
    engine.on_print(|text| log(text, None));
    engine.on_debug(|text, file, position| log(text, Some((file.unwrap_or_default(), position.line().unwrap_or(0)))));
}

fn log(text: &str, place: Option<(&str, usize)>) {
    let end = (0..=text.len().min(MOST_LOGGED))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    let text = text.get(..end).unwrap_or_default();
    match place {
        Some((file, line)) => tracing::debug!(target: "whimbrel::rules", file, line, "{text}"),
        None => tracing::debug!(target: "whimbrel::rules", "{text}"),
    }
}

fn sizes(engine: &mut Engine) {
    for (name, factor) in [("kb", 1_i64 << 10), ("mb", 1 << 20), ("gb", 1 << 30)] {
        engine.register_fn(name, move |n: i64| -> Answer<i64> {
            match n.checked_mul(factor) {
                Some(bytes) => Ok(bytes),
                None => refuse(format!("{n} {name} is too large a number")),
            }
        });
        engine.register_fn(name, move |n: f64| -> Answer<i64> {
            #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // Checked in the line below.
            let bytes = n * factor as f64;
            if !bytes.is_finite() || bytes.abs() > 9e18 {
                return refuse(format!("{n} {name} is too large a number"));
            }
            #[allow(clippy::cast_possible_truncation)]
            Ok(bytes as i64)
        });
    }
}

fn texts(engine: &mut Engine, shared: &Arc<Shared>) {
    let patterns = shared.clone();
    engine.register_fn("matches", move |text: &str, glob: &str| -> Answer<bool> {
        if glob.len() > MOST_PATTERN {
            return refuse("the pattern of matches(…) is too long");
        }
        let found = patterns.pattern(&format!("g{glob}"), || glob_to_regex(glob));
        match found {
            Ok(regex) => Ok(regex.is_match(text)),
            Err(error) => refuse(format!("\"{}\" is no pattern for matches(…): {error}", short(glob))),
        }
    });
    let patterns = shared.clone();
    engine.register_fn("like", move |text: &str, pattern: &str| -> Answer<bool> {
        if pattern.len() > MOST_PATTERN {
            return refuse("the regular expression of like(…) is too long");
        }
        match patterns.pattern(&format!("r{pattern}"), || pattern.to_owned()) {
            Ok(regex) => Ok(regex.is_match(text)),
            Err(error) => refuse(format!("\"{}\" is no regular expression: {error}", short(pattern))),
        }
    });
    engine.register_fn("same_as", |text: &str, other: &str| {
        text.to_lowercase() == other.to_lowercase()
    });
    engine.register_fn("join", |parts: Array| join(&parts, "/"));
    engine.register_fn("join", |parts: Array, between: &str| join(&parts, between));
    engine.register_fn("last_segment", |path: &str| -> ImmutableString {
        path.rsplit('/').next().unwrap_or_default().into()
    });
    engine.register_fn("parent_of", |path: &str| -> ImmutableString {
        path.rsplit_once('/').map_or("", |(parent, _)| parent).into()
    });
}

/// `*` is any text, `?` any character, everything else itself; upper and lower case are the same.
fn glob_to_regex(glob: &str) -> String {
    let mut out = String::with_capacity(glob.len() + 16);
    out.push_str("(?is)^");
    for c in glob.chars() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push('$');
    out
}

fn join(parts: &[Dynamic], between: &str) -> Answer<ImmutableString> {
    let mut out = String::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out.push_str(between);
        }
        match part.as_immutable_string_ref() {
            Ok(text) => out.push_str(&text),
            Err(found) => return refuse(format!("join() puts strings together, not {found}")),
        }
    }
    Ok(out.into())
}
