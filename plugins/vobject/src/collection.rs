//! What is known of a collection that is a folder: the files of a vdir (`displayname`, `color`, `description`, `order`), and
//! `.Radicale.props`.

use serde::Deserialize;
use whimbrel_folders::disk::join;
use whimbrel_folders::{Body, Disk};
use whimbrel_plugin::{Collection, Result};

use crate::form::Form;
use crate::index::{About, Holds};

/// Bytes of such a file that are looked at.
const BYTES: u64 = 64 << 10;
/// Bytes of an attribute.
const ATTRIBUTE: usize = 8 << 10;
const NAME: &str = "displayname";
const COLOUR: &str = "color";
const DESCRIPTION: &str = "description";
const ORDER: &str = "order";
const RADICALE: &str = ".Radicale.props";

/// Properties of a collection of Radicale.
#[derive(Debug, Default, Deserialize)]
struct Radicale {
    #[serde(rename = "D:displayname")]
    name: Option<String>,
    #[serde(rename = "ICAL:calendar-color")]
    calendar_colour: Option<String>,
    #[serde(rename = "{http://inf-it.com/ns/ab/}addressbook-color")]
    book_colour: Option<String>,
    #[serde(rename = "C:calendar-description")]
    calendar_description: Option<String>,
    #[serde(rename = "CR:addressbook-description")]
    book_description: Option<String>,
    #[serde(rename = "ICAL:calendar-order")]
    order: Option<String>,
}

/// What the folder says of itself.
///
/// # Errors
/// What the folder failed with.
pub fn of_folder<D: Disk>(disk: &D, directory: &str) -> Result<About> {
    let file = |name: &str| -> Result<Option<String>> {
        let bytes = disk.small_file(&join(directory, name), BYTES)?;
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
    };
    let mut about = About {
        name: file(NAME)?,
        description: file(DESCRIPTION)?,
        colour: file(COLOUR)?,
        order: file(ORDER)?,
    };
    if let Some(props) = disk.small_file(&join(directory, RADICALE), BYTES)? {
        let props: Radicale = serde_json::from_slice(&props).unwrap_or_default();
        about.name = about.name.or(props.name);
        about.colour = about.colour.or(props.calendar_colour).or(props.book_colour);
        let description = props.calendar_description.or(props.book_description);
        about.description = about.description.or(description);
        about.order = about.order.or(props.order);
    }
    about.name = about.name.filter(|name| !name.chars().any(char::is_control));
    Ok(about)
}

/// Writes down what a new folder is to say of itself, as far as the files of a vdir can.
///
/// # Errors
/// What the folder failed with.
pub fn describe<D: Disk>(disk: &D, directory: &str, name: &str, wanted: &Collection) -> Result<()> {
    let write =
        |file: &str, text: &str| disk.write(&join(directory, file), &D::Body::from_bytes(text.as_bytes()), true);
    if is_plain(name) {
        write(NAME, name)?;
    }
    let attribute = |name: &str| {
        wanted
            .attributes
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.trim())
    };
    if let Some(colour) = attribute("colour").and_then(colour) {
        write(COLOUR, colour)?;
    }
    for (file, name) in [(DESCRIPTION, "description"), (ORDER, "order")] {
        if let Some(text) = attribute(name).filter(|text| !text.is_empty()) {
            write(file, text)?;
        }
    }
    Ok(())
}

/// Whether `displayname` can bear this name.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.trim() == name && !name.chars().any(char::is_control)
}

/// `#RRGGBB`, which is all that a vdir knows of colours; what follows says how much shines through.
fn colour(text: &str) -> Option<&str> {
    let digits = text.strip_prefix('#')?;
    let plain = matches!(digits.len(), 6 | 8) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| text.get(..7)).flatten()
}

/// Adds the attributes, by the names that other connectors for calendars use.
pub fn with_attributes(mut collection: Collection, form: Form, about: &About, holds: Holds) -> Collection {
    let mut add = |name: &str, value: Option<String>| {
        collection.attributes.extend(
            value
                .filter(|value| value.len() <= ATTRIBUTE)
                .map(|value| (name.to_owned(), value)),
        );
    };
    add("colour", about.colour.clone());
    add("order", about.order.clone());
    add("description", about.description.clone());
    // Whoever makes a calendar makes it for events and tasks, unless it is told more.
    if form == Form::Calendar && holds.journals {
        add("components", Some("VEVENT,VTODO,VJOURNAL".to_owned()));
    }
    collection
}

#[cfg(test)]
mod tests {
    use whimbrel_folders::memory::MemoryDisk;

    use super::*;

    #[test]
    fn colours_are_those_of_a_vdir() {
        assert_eq!(colour("#ff8800ff"), Some("#ff8800"));
        assert_eq!(colour("#FF8800"), Some("#FF8800"));
        for none in ["red", "#ff88", "#gg8800", "", "#ff8800ffaa"] {
            assert_eq!(colour(none), None, "{none}");
        }
    }

    #[test]
    fn what_radicale_says_is_known() {
        let disk = MemoryDisk::default();
        disk.put(
            "a/.Radicale.props",
            br##"{"tag":"VCALENDAR","D:displayname":"W\u00f6rk","ICAL:calendar-color":"#ff8800ff","C:calendar-description":"d"}"##,
        );
        disk.put("a/description", b" Ours\n");
        disk.put("b/.Radicale.props", b"{not json");
        let about = of_folder(&disk, "a").unwrap();
        assert_eq!(about.name.as_deref(), Some("Wörk"));
        assert_eq!(
            (about.colour.as_deref(), about.description.as_deref()),
            (Some("#ff8800ff"), Some("Ours"))
        );
        assert_eq!(of_folder(&disk, "b").unwrap(), About::default());
    }
}
