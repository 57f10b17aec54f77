//! The specification, as it stands in `docs/specification.md`: which case checks which sentence.

/// The page. It is the only place where sentences and cases are held together.
const PAGE: &str = include_str!("../../../docs/specification.md");

/// How much a sentence demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Breaking it makes a migration slower, or its report less exact.
    Should,
    /// Breaking it loses something, or may.
    Must,
}

/// A numbered sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// E.g. `LIST-3`.
    pub id: &'static str,
    /// What it demands.
    pub text: String,
    /// The most that it demands.
    pub level: Level,
    /// The cases that check it.
    pub cases: Vec<&'static str>,
    /// How the host makes sure of it, where it does.
    pub host: Option<String>,
}

/// All sentences, in the order of the page.
pub fn requirements() -> Vec<Requirement> {
    PAGE.split("\n\n").filter_map(requirement).collect()
}

/// A paragraph of the form `**ID** text [cases; host: how]`.
fn requirement(paragraph: &'static str) -> Option<Requirement> {
    let (id, rest) = paragraph.trim().strip_prefix("**")?.split_once("**")?;
    let (letters, number) = id.split_once('-')?;
    let is_id =
        letters.bytes().all(|byte| byte.is_ascii_uppercase()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let (text, known) = rest.strip_suffix(']')?.rsplit_once('[')?;
    let (cases, host) = match known.split_once("host:") {
        Some((cases, how)) => (cases, Some(words(how))),
        None => (known, None),
    };
    let level = if text.contains("MUST") {
        Level::Must
    } else {
        Level::Should
    };
    is_id.then(|| Requirement {
        id,
        text: words(text),
        level,
        cases: cases.split('`').skip(1).step_by(2).collect(),
        host,
    })
}

/// On one line.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The ids of the sentences that a case checks, and the most that they demand.
pub fn of_case(requirements: &[Requirement], case: &str) -> (Vec<String>, Level) {
    let cited = requirements
        .iter()
        .filter(|requirement| requirement.cases.contains(&case));
    let level = cited.clone().map(|requirement| requirement.level).max();
    (
        cited.map(|requirement| requirement.id.to_owned()).collect(),
        level.unwrap_or(Level::Must),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::cases;

    #[test]
    fn sentences_and_cases_fit_together() {
        let requirements = requirements();
        assert!(requirements.len() > 40, "{}", requirements.len());
        let known: HashSet<&str> = cases().map(|(id, _)| id).collect();
        let mut ids = HashSet::new();
        for requirement in &requirements {
            let Requirement {
                id, text, cases, host, ..
            } = requirement;
            assert!(ids.insert(*id), "{id} twice");
            assert!(text.contains("MUST") || text.contains("SHOULD"), "{id} demands nothing");
            assert!(!cases.is_empty() || host.is_some(), "nobody knows whether {id} holds");
            for case in cases {
                assert!(known.contains(case), "{id} names the case {case}, which is not there");
            }
        }
        for case in known {
            assert!(
                !of_case(&requirements, case).0.is_empty(),
                "no sentence demands what {case} checks"
            );
        }
    }

    #[test]
    fn every_sentence_of_the_page_is_read() {
        let written = PAGE
            .lines()
            .filter(|line| line.starts_with("**") && line.contains("-"))
            .count();
        assert_eq!(requirements().len(), written);
    }

    #[test]
    fn a_sentence_is_read() {
        let read = requirement("**LIST-3** A page MUST\nend. [`a/b`, `c/d`; host: it\ncounts]").unwrap();
        assert_eq!(
            (read.id, read.text.as_str(), read.level),
            ("LIST-3", "A page MUST end.", Level::Must)
        );
        assert_eq!(
            (read.cases, read.host.as_deref()),
            (vec!["a/b", "c/d"], Some("it counts"))
        );
        assert!(requirement("**Paging.** Make cursors [x]").is_none());
    }
}
