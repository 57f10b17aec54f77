//! Messages, put together from parts of a spool.

use whimbrel_folders::Body;
use whimbrel_folders::lines::Lines;

use crate::scan::{Cut, Message, Rules, next_message};

/// Parts that a message is put together from without copying.
const PARTS: usize = 200;

/// The message whose From_ line begins at `start`, and what is its own of it. It stands in `body`, whose lines these are.
pub fn message<B: Body>(body: &B, lines: &mut Lines<B>, rules: Rules, start: u64) -> Option<(Message, B)> {
    lines.seek(start);
    let mut cuts: Vec<Cut> = Vec::new();
    let mut many = false;
    let message = next_message(lines, rules, &mut |cut| {
        many = cuts.len() >= PARTS;
        if !many {
            push_cut(&mut cuts, cut);
        }
    })?;
    if !many {
        let mut parts = Vec::new();
        kept(&message, &cuts, |from, to| parts.push(body.slice(from, to - from)));
        let content = match &parts[..] {
            [whole] => whole.slice(0, whole.size()),
            parts => B::concat(&parts.iter().collect::<Vec<_>>()),
        };
        return Some((message, content));
    }
    // Cut in so many places, it is copied.
    let content = B::build(|write| {
        let mut from = message.content;
        lines.seek(start);
        let mut copy = |from: u64, to: u64| body.slice(from, to.saturating_sub(from)).pieces(&mut *write);
        next_message(lines, rules, &mut |(at, length)| {
            copy(from, at);
            from = at + length;
        });
        copy(from, message.end);
    });
    Some((message, content))
}

/// One cut behind another is one.
fn push_cut(cuts: &mut Vec<Cut>, (at, length): Cut) {
    match cuts.last_mut() {
        Some((last, known)) if *last + *known == at => *known += length,
        _ => cuts.push((at, length)),
    }
}

fn kept(message: &Message, cuts: &[Cut], mut each: impl FnMut(u64, u64)) {
    let mut from = message.content;
    for &(at, length) in cuts {
        if at > from {
            each(from, at);
        }
        from = at + length;
    }
    if message.end > from {
        each(from, message.end);
    }
}
