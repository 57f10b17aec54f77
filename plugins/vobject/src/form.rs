//! The two forms of objects.

use whimbrel_plugin::Kind;

/// What the objects of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// iCalendar: events, tasks and journal entries, in calendars.
    Calendar,
    /// vCard: contacts.
    Card,
}

impl Form {
    /// How files are named at their end; the first is that of new ones.
    pub fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Calendar => &[".ics", ".ical", ".icalendar", ".ifb"],
            Self::Card => &[".vcf", ".vcard"],
        }
    }

    /// The ending of new files.
    pub fn ending(self) -> &'static str {
        self.endings().first().copied().unwrap_or_default()
    }

    /// The form of a file of this name, where the name says that it is a file of objects. Hidden ones are none.
    pub fn of_name(name: &str) -> Option<Self> {
        let has = |form: &Self| !name.starts_with('.') && form.stem(name).is_some();
        [Self::Calendar, Self::Card].into_iter().find(has)
    }

    /// The name without its ending, in whatever case that is; none where it has another one.
    pub fn stem(self, name: &str) -> Option<&str> {
        self.endings().iter().find_map(|ending| {
            let at = name.len().checked_sub(ending.len()).filter(|&at| at > 0)?;
            let (stem, end) = name.split_at_checked(at)?;
            end.eq_ignore_ascii_case(ending).then_some(stem)
        })
    }

    /// What the contract calls the content.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Calendar => "text/calendar",
            Self::Card => "text/vcard",
        }
    }

    /// For messages: what a collection is.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Calendar => "calendar",
            Self::Card => "address book",
        }
    }

    /// What a collection holds where nothing in it says otherwise.
    pub fn kind(self) -> Kind {
        match self {
            Self::Calendar => Kind::Event,
            Self::Card => Kind::Contact,
        }
    }

    /// Whether collections can hold items of this kind.
    pub fn takes(self, kind: Kind) -> bool {
        match self {
            Self::Calendar => matches!(kind, Kind::Event | Kind::Task),
            Self::Card => kind == Kind::Contact,
        }
    }
}

/// One of the two forms.
pub trait Flavour: 'static {
    /// Which.
    const FORM: Form;
}

/// iCalendar.
#[derive(Debug)]
pub struct Calendars;

/// vCard.
#[derive(Debug)]
pub struct Cards;

impl Flavour for Calendars {
    const FORM: Form = Form::Calendar;
}

impl Flavour for Cards {
    const FORM: Form = Form::Card;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_form() {
        for (name, form) in [
            ("a.ics", Some(Form::Calendar)),
            ("Work.ICS", Some(Form::Calendar)),
            ("a.vcf", Some(Form::Card)),
            (".a.ics", None),
            (".ics", None),
            ("a.ics.bak", None),
            ("ü.vcard", Some(Form::Card)),
            ("éics", None),
        ] {
            assert_eq!(Form::of_name(name), form, "{name}");
        }
        assert_eq!(Form::Calendar.stem("a.b.Ics"), Some("a.b"));
        assert_eq!(Form::Card.stem("a.ics"), None);
    }
}
