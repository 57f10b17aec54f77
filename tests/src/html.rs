//! A strict look at a page: every element is closed where it should be, every attribute is quoted, and nothing is asked of
//! anybody.

/// Elements that have no end.
const VOID: [&str; 6] = ["meta", "link", "br", "hr", "img", "input"];

/// A page that was taken apart.
#[derive(Debug, Default)]
pub struct Page {
    /// Every element: its name, and its attributes as they stand there.
    pub elements: Vec<(String, Vec<(String, String)>)>,
    /// What a reader sees, character references resolved; the style sheet apart.
    pub text: String,
    /// The style sheets.
    pub style: String,
}

impl Page {
    /// Takes it apart; a panic where it is not well-formed.
    #[track_caller]
    pub fn read(source: &str) -> Self {
        // Where a line may break is nothing to read.
        let source = source.replace("<wbr>", "");
        let mut rest = source.strip_prefix("<!DOCTYPE html>").expect("a document type");
        let mut page = Self::default();
        let mut open: Vec<String> = Vec::new();
        while let Some(at) = rest.find('<') {
            page.said(&rest[..at], open.last().map(String::as_str));
            let end = tag_end(&rest[at..]) + at;
            let tag = &rest[at + 1..end];
            rest = &rest[end + 1..];
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(name), "</{name}> closes something else");
                continue;
            }
            let (name, attributes) = attributes(tag);
            assert!(!open.is_empty() || page.elements.is_empty(), "a second root: <{name}>");
            if name == "style" {
                let (style, after) = rest.split_once("</style>").expect("the end of a style sheet");
                page.style += style;
                rest = after;
            } else if !VOID.contains(&name.as_str()) {
                open.push(name.clone());
            }
            page.elements.push((name, attributes));
        }
        page.said(rest, None);
        assert!(open.is_empty(), "not closed: {open:?}");
        page
    }

    fn said(&mut self, text: &str, within: Option<&str>) {
        assert!(
            within.is_some() || text.trim().is_empty(),
            "text outside of everything: {text:?}"
        );
        self.text += &resolve(text);
        self.text.push(' ');
    }

    /// All values of an attribute, of whatever element.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let all = self.elements.iter().flat_map(|(_, attributes)| attributes);
        all.filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Fails where anything would be asked of anybody, or run.
    #[track_caller]
    pub fn assert_self_contained(&self) {
        for (name, attributes) in &self.elements {
            let harmful = [
                "script",
                "iframe",
                "object",
                "embed",
                "base",
                "form",
                "img",
                "image",
                "use",
                "foreignobject",
            ];
            assert!(!harmful.contains(&name.to_lowercase().as_str()), "<{name}>");
            for (attribute, value) in attributes {
                assert!(
                    !attribute.starts_with("on") && attribute != "style",
                    "{attribute}={value:?}"
                );
                if ["href", "src", "srcset", "action", "xlink:href", "data", "poster"].contains(&attribute.as_str()) {
                    assert!(value.starts_with('#') || value == "data:,", "{attribute}={value:?}");
                }
                assert!(
                    attribute != "http-equiv" || value == "Content-Security-Policy",
                    "{value}"
                );
            }
        }
        let policy = self
            .values("content")
            .find(|value| value.contains("default-src 'none'"));
        assert!(
            policy.is_some_and(|policy| policy.contains("style-src 'sha256-")),
            "no policy"
        );
        let inside = self.style.replace("url(#", "");
        assert!(
            !inside.contains("url(") && !inside.contains("@import"),
            "the style sheet asks for something"
        );
        // Every jump leads somewhere, once.
        let ids: Vec<&str> = self.values("id").collect();
        for target in self.values("href").filter_map(|value| value.strip_prefix('#')) {
            assert_eq!(ids.iter().filter(|id| **id == target).count(), 1, "#{target}");
        }
    }
}

/// Where the tag that begins here ends: at the first `>` outside of quotes.
#[track_caller]
fn tag_end(text: &str) -> usize {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '>' if !quoted => return at,
            '<' if at > 0 => panic!("< within a tag: {}", text.chars().take(80).collect::<String>()),
            _ => {}
        }
    }
    panic!("a tag without an end: {}", text.chars().take(80).collect::<String>())
}

#[track_caller]
fn attributes(tag: &str) -> (String, Vec<(String, String)>) {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    assert!(
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()),
        "<{name}>"
    );
    let mut found = Vec::new();
    while !rest.trim_start().is_empty() {
        rest = rest.trim_start();
        let (key, after) = rest
            .split_once("=\"")
            .unwrap_or_else(|| panic!("an attribute without quotes: {rest}"));
        let (value, after) = after
            .split_once('"')
            .unwrap_or_else(|| panic!("a value without an end: {rest}"));
        assert!(
            key.chars().all(|c| c.is_ascii_alphanumeric() || "-:_".contains(c)),
            "attribute {key:?}"
        );
        assert!(
            !found.iter().any(|(known, _): &(String, String)| known == key),
            "{key} twice in <{tag}>"
        );
        found.push((key.to_owned(), resolve(value)));
        rest = after;
    }
    (name.to_owned(), found)
}

/// Text with its character references resolved; a bare `&` is an error.
#[track_caller]
fn resolve(text: &str) -> String {
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, after) = part.split_once(';').unwrap_or_else(|| panic!("a bare &: {part:?}"));
        out += match name {
            "lt" => "<",
            "gt" => ">",
            "amp" => "&",
            "quot" => "\"",
            other => panic!("the reference &{other}; is none that is written"),
        };
        out += after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_taken_apart() {
        let page = Page::read("<!DOCTYPE html><html><p id=\"a\">x &lt;b&gt;<br>y</p><style>p > a {}</style></html>");
        assert_eq!(page.elements.len(), 4);
        assert!(page.text.contains("x <b>"));
        assert_eq!(page.values("id").collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    #[should_panic(expected = "closes something else")]
    fn what_is_not_closed_is_found() {
        Page::read("<!DOCTYPE html><html><b><i></b></i></html>");
    }

    #[test]
    #[should_panic(expected = "a bare &")]
    fn what_is_not_escaped_is_found() {
        Page::read("<!DOCTYPE html><html>a & b</html>");
    }
}
