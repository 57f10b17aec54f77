//! What a script needs of whoever is to run it (RFC 5228, 3.2).

/// Bytes at the beginning of a script within which it says so.
pub const HEAD: u32 = 64 << 10;
/// Names of extensions, and characters of one: more are no honest script's.
const NAMES: usize = 100;
const NAME: usize = 100;

/// The extensions that a script requires, lower-case, each once, in its order.
pub fn required(script: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(script);
    let (mut names, mut rest): (Vec<String>, &str) = (Vec::new(), &text);
    loop {
        rest = after_comments(rest);
        let word = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        if !rest[..word].eq_ignore_ascii_case("require") {
            return names;
        }
        rest = &rest[word..];
        loop {
            rest = after_comments(rest);
            let mut characters = rest.chars();
            match characters.next() {
                Some('"') => {
                    let Some((name, after)) = rest[1..].split_once('"') else {
                        return names;
                    };
                    let name = name.to_ascii_lowercase();
                    let plain = !name.is_empty() && name.len() <= NAME && name.chars().all(|c| c.is_ascii_graphic());
                    if plain && names.len() < NAMES && !names.contains(&name) {
                        names.push(name);
                    }
                    rest = after;
                    continue;
                }
                Some('[' | ']' | ',') => {}
                Some(';') => {
                    rest = characters.as_str();
                    break;
                }
                _ => return names,
            }
            rest = characters.as_str();
        }
    }
}

/// What follows blanks and comments.
fn after_comments(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        text = if text.starts_with('#') {
            text.find('\n').map_or("", |end| &text[end..])
        } else if let Some(comment) = text.strip_prefix("/*") {
            comment.find("*/").map_or("", |end| &comment[end + 2..])
        } else {
            return text;
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(script: &str) -> String {
        required(script.as_bytes()).join(" ")
    }

    #[test]
    fn extensions_are_found_where_they_stand() {
        assert_eq!(
            of(
                "# a script\r\nREQUIRE [\"fileinto\", /* two */ \"Vacation\"\r\n];require \"copy\";\r\nrequire \"copy\";\r\nkeep;"
            ),
            "fileinto vacation copy"
        );
        assert_eq!(of("keep; require \"late\";"), "");
        assert_eq!(
            of("/* require \"a\"; */ require \"comparator-i;octet\";"),
            "comparator-i;octet"
        );
        for broken in [
            "require",
            "require \"a",
            "require [\"a\" x",
            "/* no end",
            "# no end",
            "requires \"a\";",
        ] {
            assert!(of(broken).len() <= 1, "{broken}");
        }
    }

    proptest! {
        #[test]
        fn no_script_makes_it_fail(script in "(require|[\"\\[\\],;#/*\\\\ \r\n]|\\PC){0,40}") {
            prop_assert!(required(script.as_bytes()).iter().all(|name| !name.contains(' ')));
        }
    }
}
