//! Labels of Gmail as Takeout writes them, in the account's language: what is a folder, what is a flag, what is neither.

use whimbrel_folders::roles;
use whimbrel_plugin::Role;

/// What a label says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    Unread,
    Opened,
    Starred,
    Important,
    /// It lies in no folder.
    Archived,
    /// In the folder with this role.
    Role(Role),
    /// A flag that an IMAP client set.
    Flag(String),
    /// One of Gmail's categories.
    Category,
    /// A label that somebody made: its path.
    Folder(Vec<String>),
}

/// Names in lower case.
const UNREAD: &[&str] = &[
    "unread",
    "ungelesen",
    "non lus",
    "non lu",
    "no leídos",
    "no leído",
    "não lidas",
    "não lida",
    "não lido",
    "não lidos",
    "da leggere",
    "non letti",
    "non letto",
    "ongelezen",
    "olästa",
    "oläst",
    "ulest",
    "uleste",
    "ulæst",
    "ulæste",
    "nieprzeczytane",
    "непрочитанные",
    "непрочитанное",
    "непрочитані",
    "nepřečtené",
    "neprečítané",
    "okunmamış",
    "lukematta",
    "lukematon",
    "olvasatlan",
    "necitite",
    "μη αναγνωσμένα",
    "未読",
    "未读",
    "未讀",
    "읽지 않음",
    "읽지않음",
];
const OPENED: &[&str] = &[
    "opened",
    "geöffnet",
    "ouvert",
    "ouverts",
    "abierto",
    "abiertos",
    "aberto",
    "abertos",
    "aberta",
    "abertas",
    "aperto",
    "aperti",
    "geopend",
    "öppnat",
    "öppnade",
    "öppnad",
    "åpnet",
    "åbnet",
    "otwarte",
    "otworzone",
    "открыто",
    "открытые",
    "прочитанные",
    "відкриті",
    "відкрито",
    "otevřené",
    "otevřeno",
    "otvorené",
    "açıldı",
    "açılmış",
    "avattu",
    "megnyitva",
    "deschise",
    "ανοίχτηκε",
    "既読",
    "開封済み",
    "已打开",
    "已開啟",
    "열림",
    "읽음",
];
const STARRED: &[&str] = &[
    "starred",
    "markiert",
    "suivis",
    "suivi",
    "messages suivis",
    "destacados",
    "destacado",
    "com estrela",
    "marcado com estrela",
    "speciali",
    "speciale",
    "met ster",
    "stjärnmärkta",
    "stjärnmärkt",
    "stjernemerket",
    "stjernemarkeret",
    "oznaczone gwiazdką",
    "помеченные",
    "із зірочкою",
    "s hvězdičkou",
    "označené hviezdičkou",
    "yıldızlı",
    "tähdellä merkitty",
    "csillagozott",
    "cu stea",
    "με αστέρι",
    "スター付き",
    "已加星标",
    "已加星號",
    "별표편지함",
    "별표",
];
const IMPORTANT: &[&str] = &[
    "important",
    "wichtig",
    "importants",
    "importante",
    "importantes",
    "importanti",
    "belangrijk",
    "viktigt",
    "viktiga",
    "viktig",
    "vigtigt",
    "vigtig",
    "ważne",
    "важные",
    "важное",
    "важливі",
    "důležité",
    "dôležité",
    "önemli",
    "tärkeät",
    "tärkeä",
    "fontos",
    "importante ",
    "σημαντικά",
    "重要",
    "중요",
    "중요편지함",
];
const ARCHIVED: &[&str] = &[
    "archived",
    "archiviert",
    "archivés",
    "archivé",
    "messages archivés",
    "archivado",
    "archivados",
    "arquivada",
    "arquivadas",
    "arquivado",
    "arquivados",
    "archiviati",
    "archiviato",
    "gearchiveerd",
    "arkiverat",
    "arkiverade",
    "arkivert",
    "arkiveret",
    "zarchiwizowane",
    "архивировано",
    "архивированные",
    "архівовано",
    "archivováno",
    "archivované",
    "arşivlendi",
    "arşivlenmiş",
    "arkistoitu",
    "archivált",
    "arhivate",
    "αρχειοθετημένα",
    "アーカイブ済み",
    "アーカイブ",
    "已归档",
    "已封存",
    "보관됨",
];
const INBOX: &[&str] = &[
    "inbox",
    "posteingang",
    "boîte de réception",
    "recibidos",
    "bandeja de entrada",
    "caixa de entrada",
    "posta in arrivo",
    "postvak in",
    "inkorgen",
    "innboks",
    "indbakke",
    "odebrane",
    "входящие",
    "вхідні",
    "doručená pošta",
    "doručené",
    "gelen kutusu",
    "postilaatikko",
    "saapuneet",
    "beérkező levelek",
    "mesaje primite",
    "εισερχόμενα",
    "受信トレイ",
    "收件箱",
    "收件匣",
    "받은편지함",
];
/// How names of categories begin.
const CATEGORIES: &[&str] = &[
    "category ",
    "category:",
    "kategorie ",
    "kategorie:",
    "catégorie ",
    "catégorie:",
    "catégorie\u{a0}",
    "categoría ",
    "categoría:",
    "categoria ",
    "categoria:",
    "categorie ",
    "categorie:",
    "kategori ",
    "kategori:",
    "kategoria ",
    "kategoria:",
    "категория ",
    "категория:",
    "категорія ",
    "категорія:",
    "κατηγορία ",
    "カテゴリ",
    "类别",
    "類別",
    "카테고리",
];

/// What the label means.
pub fn meaning(label: &str) -> Meaning {
    let name = label.to_lowercase();
    let is = |names: &[&str]| names.contains(&name.as_str());
    if let Some(flag) = label
        .strip_prefix("IMAP_")
        .filter(|flag| !flag.is_empty() && !flag.contains(char::is_whitespace))
    {
        return Meaning::Flag(flag.to_owned());
    }
    match () {
        () if is(UNREAD) => Meaning::Unread,
        () if is(OPENED) => Meaning::Opened,
        () if is(STARRED) => Meaning::Starred,
        () if is(IMPORTANT) => Meaning::Important,
        () if is(ARCHIVED) => Meaning::Archived,
        () if is(INBOX) => Meaning::Role(Role::Inbox),
        () if CATEGORIES.iter().any(|start| name.starts_with(start)) => Meaning::Category,
        () => match roles::role_of(std::slice::from_ref(&name)) {
            Some(role @ (Role::Sent | Role::Drafts | Role::Junk | Role::Trash)) => Meaning::Role(role),
            _ => {
                let path: Vec<String> = label
                    .split('/')
                    .map(str::trim)
                    .filter(|part| !part.is_empty())
                    .map(str::to_owned)
                    .collect();
                if path.is_empty() {
                    Meaning::Archived
                } else {
                    Meaning::Folder(path)
                }
            }
        },
    }
}

/// What a message's labels come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sorted {
    /// Paths of the folders that it lies in, with their roles; one at least.
    pub folders: Vec<(Vec<String>, Option<Role>)>,
    /// In IMAP's spelling.
    pub flags: Vec<String>,
    /// What is neither.
    pub labels: Vec<String>,
}

/// Sorts the labels of a message. One that lies in no folder lies in the archive.
pub fn sorted(labels: &[String]) -> Sorted {
    let mut sorted = Sorted::default();
    let (mut seen, mut flags) = (true, Vec::new());
    for label in labels {
        match meaning(label) {
            Meaning::Unread => seen = false,
            Meaning::Opened | Meaning::Archived => {}
            Meaning::Starred => flags.push("\\Flagged".to_owned()),
            Meaning::Important => flags.push("$Important".to_owned()),
            Meaning::Category => sorted.labels.push(label.clone()),
            Meaning::Flag(flag) => flags.push(flag),
            Meaning::Role(role) => {
                match role {
                    Role::Drafts => flags.push("\\Draft".to_owned()),
                    Role::Junk => flags.push("$Junk".to_owned()),
                    _ => {}
                }
                let name = roles::name_for(role).unwrap_or("INBOX");
                sorted.folders.push((vec![name.to_owned()], Some(role)));
            }
            Meaning::Folder(path) => sorted.folders.push((path, None)),
        }
    }
    if sorted.folders.is_empty() {
        sorted.folders.push((vec!["Archive".to_owned()], Some(Role::Archive)));
    }
    if seen {
        flags.insert(0, "\\Seen".to_owned());
    }
    for flag in flags {
        if !sorted.flags.iter().any(|known| known.eq_ignore_ascii_case(&flag)) {
            sorted.flags.push(flag);
        }
    }
    sorted.folders.sort();
    sorted.folders.dedup();
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(labels: &[&str]) -> (Vec<String>, Vec<String>, Vec<String>) {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let sorted = sorted(&labels);
        let folders = sorted.folders.into_iter().map(|(path, _)| path.join("/")).collect();
        (folders, sorted.flags, sorted.labels)
    }

    #[test]
    fn labels_are_folders_flags_or_labels() {
        let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let expect = |labels: &[&str], folders: &[&str], flags: &[&str], rest: &[&str]| {
            assert_eq!(
                of(labels),
                (strings(folders), strings(flags), strings(rest)),
                "{labels:?}"
            );
        };
        expect(
            &["Inbox", "Category updates", "Unread"],
            &["INBOX"],
            &[],
            &["Category updates"],
        );
        expect(
            &["Archived", "Starred", "Opened", "Important"],
            &["Archive"],
            &["\\Seen", "\\Flagged", "$Important"],
            &[],
        );
        expect(
            &["Work/Köln", "Inbox", "Work"],
            &["INBOX", "Work", "Work/Köln"],
            &["\\Seen"],
            &[],
        );
        expect(&["Spam", "Unread"], &["Junk"], &["$Junk"], &[]);
        expect(&["Drafts"], &["Drafts"], &["\\Seen", "\\Draft"], &[]);
        expect(
            &["Posteingang", "Ungelesen", "Wichtig"],
            &["INBOX"],
            &["$Important"],
            &[],
        );
        expect(
            &["Messages archivés", "Ouvert", "Catégorie\u{a0}: E-mails personnels"],
            &["Archive"],
            &["\\Seen"],
            &["Catégorie\u{a0}: E-mails personnels"],
        );
        expect(&["Gesendet", "Geöffnet"], &["Sent"], &["\\Seen"], &[]);
        expect(
            &["IMAP_$Forwarded", "Corbeille", "Non lus"],
            &["Trash"],
            &["$Forwarded"],
            &[],
        );
        expect(&["/", "Chat"], &["Chat"], &["\\Seen"], &[]);
        expect(&[], &["Archive"], &["\\Seen"], &[]);
    }

    #[test]
    fn no_name_means_two_things() {
        let all: Vec<&str> = [UNREAD, OPENED, STARRED, IMPORTANT, INBOX]
            .into_iter()
            .flatten()
            .copied()
            .collect();
        for name in &all {
            assert_eq!(all.iter().filter(|other| *other == name).count(), 1, "{name}");
            assert_eq!(*name, name.to_lowercase());
        }
    }
}
