//! Roles by name: a mail folder on disk bears no mark of its purpose but its name.

use whimbrel_plugin::Role;

/// Names in lower case, as mail clients and servers write them in the languages met most. The first of each role is
/// the one that is made (with its first letter in upper case).
const NAMES: &[(Role, &[&str])] = &[
    (
        Role::Sent,
        &[
            "sent",
            "sent messages",
            "sent items",
            "sent mail",
            "sent-mail",
            "gesendet",
            "gesendete elemente",
            "gesendete objekte",
            "éléments envoyés",
            "messages envoyés",
            "envoyés",
            "enviados",
            "elementos enviados",
            "itens enviados",
            "mensagens enviadas",
            "posta inviata",
            "inviati",
            "inviata",
            "elementi inviati",
            "verzonden",
            "verzonden items",
            "verzonden berichten",
            "wysłane",
            "elementy wysłane",
            "odeslané",
            "odeslaná pošta",
            "odoslané",
            "skickat",
            "skickade",
            "skickade objekt",
            "sendt",
            "sendte elementer",
            "sendt post",
            "lähetetyt",
            "lähetetyt viestit",
            "отправленные",
            "надіслані",
            "gönderilmiş",
            "gönderilenler",
            "gönderilmiş öğeler",
            "απεσταλμένα",
            "elküldött",
            "elküldött elemek",
            "trimise",
            "送信済み",
            "送信済みアイテム",
            "已发送",
            "已发送邮件",
            "寄件備份",
            "보낸 편지함",
        ],
    ),
    (
        Role::Drafts,
        &[
            "drafts",
            "draft",
            "entwürfe",
            "entwurf",
            "brouillons",
            "borradores",
            "rascunhos",
            "bozze",
            "concepten",
            "wersje robocze",
            "robocze",
            "szkice",
            "koncepty",
            "rozepsané",
            "utkast",
            "kladder",
            "luonnokset",
            "черновики",
            "чернетки",
            "taslaklar",
            "πρόχειρα",
            "piszkozatok",
            "ciorne",
            "下書き",
            "草稿",
            "草稿箱",
            "임시 보관함",
        ],
    ),
    (
        Role::Junk,
        &[
            "junk",
            "spam",
            "junk e-mail",
            "junk email",
            "junk mail",
            "bulk mail",
            "spamverdacht",
            "junk-e-mail",
            "unerwünscht",
            "courrier indésirable",
            "indésirables",
            "pourriel",
            "pourriels",
            "correo no deseado",
            "no deseado",
            "lixo eletrônico",
            "lixo eletrónico",
            "posta indesiderata",
            "indesiderata",
            "ongewenste e-mail",
            "ongewenst",
            "wiadomości-śmieci",
            "nevyžádaná pošta",
            "nevyžádané",
            "nevyžiadaná pošta",
            "skräppost",
            "søppelpost",
            "uønsket e-post",
            "uønsket mail",
            "roskaposti",
            "спам",
            "нежелательная почта",
            "önemsiz",
            "önemsiz e-posta",
            "ανεπιθύμητα",
            "levélszemét",
            "迷惑メール",
            "垃圾邮件",
            "垃圾郵件",
            "스팸",
        ],
    ),
    (
        Role::Trash,
        &[
            "trash",
            "deleted",
            "deleted items",
            "deleted messages",
            "bin",
            "papierkorb",
            "gelöscht",
            "gelöschte elemente",
            "gelöschte objekte",
            "corbeille",
            "éléments supprimés",
            "papelera",
            "elementos eliminados",
            "lixeira",
            "lixo",
            "itens excluídos",
            "itens eliminados",
            "cestino",
            "posta eliminata",
            "elementi eliminati",
            "prullenbak",
            "verwijderde items",
            "kosz",
            "elementy usunięte",
            "koš",
            "odstraněná pošta",
            "kôš",
            "papperskorg",
            "papperskorgen",
            "borttagna objekt",
            "papirkurv",
            "slettede elementer",
            "slettet post",
            "roskakori",
            "poistetut",
            "корзина",
            "удаленные",
            "удалённые",
            "кошик",
            "çöp",
            "çöp kutusu",
            "silinmiş öğeler",
            "κάδος",
            "κάδος απορριμμάτων",
            "kuka",
            "törölt elemek",
            "coș de gunoi",
            "ごみ箱",
            "ゴミ箱",
            "已删除",
            "已删除邮件",
            "废件箱",
            "垃圾桶",
            "휴지통",
        ],
    ),
    (
        Role::Archive,
        &[
            "archive",
            "archives",
            "archiv",
            "archivo",
            "arquivo",
            "arquivar",
            "archivio",
            "archief",
            "archiwum",
            "arkiv",
            "arkisto",
            "архив",
            "архів",
            "arşiv",
            "αρχείο",
            "archívum",
            "arhivă",
            "アーカイブ",
            "归档",
            "封存",
            "보관",
        ],
    ),
    (
        Role::Templates,
        &[
            "templates",
            "vorlagen",
            "modèles",
            "plantillas",
            "modelos",
            "modelli",
            "sjablonen",
            "szablony",
        ],
    ),
    (
        Role::Outbox,
        &[
            "outbox",
            "unsent messages",
            "postausgang",
            "boîte d'envoi",
            "bandeja de salida",
        ],
    ),
];

/// The role that the name at this path tells: of a folder at the top, or just below the inbox.
pub fn role_of(path: &[String]) -> Option<Role> {
    let name = match path {
        [name] if name.eq_ignore_ascii_case("INBOX") => return Some(Role::Inbox),
        [name] => name,
        [inbox, name] if inbox.eq_ignore_ascii_case("INBOX") => name,
        _ => return None,
    };
    let name = name.to_lowercase();
    NAMES
        .iter()
        .find(|(_, names)| names.contains(&name.as_str()))
        .map(|(role, _)| *role)
}

/// The name under which a folder with this role is made; none for a role that no name tells.
pub fn name_for(role: Role) -> Option<&'static str> {
    match role {
        Role::Inbox => Some("INBOX"),
        Role::Sent => Some("Sent"),
        Role::Drafts => Some("Drafts"),
        Role::Junk => Some("Junk"),
        Role::Trash => Some("Trash"),
        Role::Archive => Some("Archive"),
        Role::Templates => Some("Templates"),
        Role::Outbox => Some("Outbox"),
        Role::All | Role::Flagged | Role::Important | Role::Memos => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(segments: &[&str]) -> Vec<String> {
        segments.iter().map(|segment| (*segment).to_owned()).collect()
    }

    #[test]
    fn names_tell_roles_at_the_top_only() {
        assert_eq!(role_of(&path(&["inbox"])), Some(Role::Inbox));
        assert_eq!(role_of(&path(&["Gesendete Objekte"])), Some(Role::Sent));
        assert_eq!(role_of(&path(&["INBOX", "Spam"])), Some(Role::Junk));
        assert_eq!(role_of(&path(&["Work", "Trash"])), None);
        assert_eq!(role_of(&path(&["INBOX", "Work", "Trash"])), None);
        assert_eq!(role_of(&[]), None);
    }

    #[test]
    fn every_name_that_is_made_tells_its_role() {
        for role in [
            Role::Inbox,
            Role::Sent,
            Role::Drafts,
            Role::Junk,
            Role::Trash,
            Role::Archive,
            Role::Templates,
            Role::Outbox,
        ] {
            assert_eq!(name_for(role).and_then(|name| role_of(&path(&[name]))), Some(role));
        }
    }

    #[test]
    fn no_name_tells_two_roles() {
        let all: Vec<&str> = NAMES.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        for (at, name) in all.iter().enumerate() {
            assert_eq!(*name, name.to_lowercase());
            let twice = NAMES.iter().filter(|(_, names)| names.contains(name)).count();
            assert_eq!(twice, 1, "{name} at {at}");
        }
    }
}
