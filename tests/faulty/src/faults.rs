//! The faults.

/// Something that it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // The table below says it.
pub enum Fault {
    None,
    ParentsLast,
    ClaimsMore,
    UnknownEmpty,
    PageLost,
    ItemTwice,
    EndlessPages,
    AllMarked,
    CompleteLie,
    VanishedUntold,
    MarkedAsNew,
    IdHoldsRevision,
    IdIsPosition,
    IdsShift,
    CursorOfInstance,
    Hoards,
    LimitsExceed,
    NamesFolded,
    PutMerges,
    ThrottledTimeless,
    GenerationUnnoticed,
    CursorTraps,
    CursorIgnored,
    AnswersSorted,
    MissingGiven,
    MissingFailsAll,
    BodyCut,
    LineEnds,
    FlagsDropped,
    KeywordsLowered,
    ZoneDropped,
    SeenByReading,
    ThrottledAsInternal,
    CutUnnoticed,
    AnySecret,
    SecretTold,
    SettingsUnchecked,
    EnsureDoubles,
    SeparatorSplits,
    PutDrops,
    PutDenies,
    PutNowhere,
    IdsMissing,
    DateLost,
    FlagsLost,
    LabelsLost,
    DotsEaten,
    WatermarkLate,
    CopyMissing,
    RelocateCopies,
    ReplaceBlind,
    MarkAdds,
    RemoveNeighbour,
}

/// Name, fault, the call in which it strikes, and what it does.
pub const FAULTS: &[(&str, Fault, &str, &str)] = &[
    ("none", Fault::None, "", "an honest account"),
    (
        "parents-last",
        Fault::ParentsLast,
        "collections",
        "gives children before their parents",
    ),
    (
        "claims-more",
        Fault::ClaimsMore,
        "collections",
        "claims one item more than it lists",
    ),
    (
        "unknown-empty",
        Fault::UnknownEmpty,
        "changes",
        "lists a collection that is not there as empty",
    ),
    (
        "page-lost",
        Fault::PageLost,
        "changes",
        "leaves out an item after each page",
    ),
    (
        "item-twice",
        Fault::ItemTwice,
        "changes",
        "names the last item of a page on the next one again",
    ),
    (
        "endless-pages",
        Fault::EndlessPages,
        "changes",
        "says after the last page that there is more, for ever",
    ),
    (
        "all-marked",
        Fault::AllMarked,
        "changes",
        "declares `incremental`, and lists everything each time",
    ),
    (
        "complete-lie",
        Fault::CompleteLie,
        "changes",
        "calls a list of what changed complete",
    ),
    (
        "vanished-untold",
        Fault::VanishedUntold,
        "changes",
        "declares `reports-vanished`, and never says so",
    ),
    (
        "marked-as-new",
        Fault::MarkedAsNew,
        "changes",
        "gives an item with other flags as a new one",
    ),
    (
        "id-holds-revision",
        Fault::IdHoldsRevision,
        "changes",
        "gives ids that change with the flags",
    ),
    (
        "id-is-position",
        Fault::IdIsPosition,
        "changes",
        "gives the position in the listing as the id",
    ),
    (
        "ids-shift",
        Fault::IdsShift,
        "changes",
        "gives other ids once something was fetched",
    ),
    (
        "cursor-of-instance",
        Fault::CursorOfInstance,
        "changes",
        "begins anew where another instance had come to",
    ),
    (
        "generation-unnoticed",
        Fault::GenerationUnnoticed,
        "changes",
        "goes on from a cursor whose ids are void",
    ),
    (
        "cursor-traps",
        Fault::CursorTraps,
        "changes",
        "traps at a cursor that makes no sense",
    ),
    (
        "cursor-ignored",
        Fault::CursorIgnored,
        "changes",
        "lists nothing after a cursor that makes no sense",
    ),
    (
        "answers-sorted",
        Fault::AnswersSorted,
        "fetch",
        "answers in the provider's order, not in the one asked for",
    ),
    (
        "missing-given",
        Fault::MissingGiven,
        "fetch",
        "gives an empty item where there is none",
    ),
    (
        "missing-fails-all",
        Fault::MissingFailsAll,
        "fetch",
        "fails as a whole where one item is missing",
    ),
    ("body-cut", Fault::BodyCut, "fetch", "leaves out the last byte"),
    (
        "line-ends",
        Fault::LineEnds,
        "fetch",
        "gives line feeds without carriage returns",
    ),
    (
        "flags-dropped",
        Fault::FlagsDropped,
        "fetch, changes",
        "leaves out `\\Flagged`",
    ),
    (
        "keywords-lowered",
        Fault::KeywordsLowered,
        "fetch, changes",
        "gives keywords in lower case",
    ),
    (
        "zone-dropped",
        Fault::ZoneDropped,
        "fetch, changes",
        "takes a local time for UTC",
    ),
    (
        "seen-by-reading",
        Fault::SeenByReading,
        "fetch",
        "marks what it reads as `\\Seen`",
    ),
    (
        "throttled-as-internal",
        Fault::ThrottledAsInternal,
        "changes, fetch",
        "gives `internal` where the provider asks to slow down",
    ),
    (
        "throttled-timeless",
        Fault::ThrottledTimeless,
        "changes, fetch",
        "leaves out for how long the provider asks to slow down",
    ),
    (
        "cut-unnoticed",
        Fault::CutUnnoticed,
        "fetch",
        "gives the half that came before the connection broke",
    ),
    ("any-secret", Fault::AnySecret, "open", "opens whatever the password is"),
    (
        "secret-told",
        Fault::SecretTold,
        "fetch",
        "says in a failure what it should not",
    ),
    (
        "settings-unchecked",
        Fault::SettingsUnchecked,
        "open",
        "opens without a setting that is required",
    ),
    ("hoards", Fault::Hoards, "collections", "takes 40 MiB of memory"),
    (
        "limits-exceed",
        Fault::LimitsExceed,
        "limits",
        "promises an ability that the description does not",
    ),
    (
        "names-folded",
        Fault::NamesFolded,
        "ensure",
        "takes names that differ in case for one",
    ),
    (
        "ensure-doubles",
        Fault::EnsureDoubles,
        "ensure",
        "makes another collection of the same name each time",
    ),
    (
        "separator-splits",
        Fault::SeparatorSplits,
        "ensure, collections",
        "takes a slash in a name for two levels",
    ),
    (
        "put-drops",
        Fault::PutDrops,
        "put",
        "keeps all but the last of several items, and says that it keeps all",
    ),
    (
        "put-merges",
        Fault::PutMerges,
        "put",
        "keeps the same message once, and says that it is new",
    ),
    (
        "put-denies",
        Fault::PutDenies,
        "put",
        "keeps the first of several items, and says that it was rejected",
    ),
    (
        "put-nowhere",
        Fault::PutNowhere,
        "put",
        "says that items are placed in a collection that is not there",
    ),
    (
        "ids-missing",
        Fault::IdsMissing,
        "put",
        "declares `returns-ids`, and gives none",
    ),
    (
        "date-lost",
        Fault::DateLost,
        "put",
        "declares `keeps-received`, and forgets the date",
    ),
    (
        "flags-lost",
        Fault::FlagsLost,
        "put",
        "declares `keeps-flags`, and keeps system flags alone",
    ),
    (
        "labels-lost",
        Fault::LabelsLost,
        "put",
        "declares `keeps-labels`, and keeps none",
    ),
    (
        "dots-eaten",
        Fault::DotsEaten,
        "put",
        "takes a dot away where a line begins with one",
    ),
    (
        "watermark-late",
        Fault::WatermarkLate,
        "watermark",
        "gives one behind the next item",
    ),
    (
        "copy-missing",
        Fault::CopyMissing,
        "copy",
        "declares `server-side-copy`, and cannot",
    ),
    (
        "relocate-copies",
        Fault::RelocateCopies,
        "relocate",
        "leaves the item where it was, too",
    ),
    (
        "replace-blind",
        Fault::ReplaceBlind,
        "replace",
        "overwrites what somebody else changed",
    ),
    (
        "mark-adds",
        Fault::MarkAdds,
        "mark",
        "adds flags and never takes one away",
    ),
    (
        "remove-neighbour",
        Fault::RemoveNeighbour,
        "remove",
        "removes the next item, too",
    ),
];

/// The fault of this name.
pub fn find(name: &str) -> Option<Fault> {
    FAULTS
        .iter()
        .find(|(known, ..)| *known == name)
        .map(|(_, fault, ..)| *fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_in_the_readme_once() {
        let readme = include_str!("../README.md");
        for (name, fault, call, what) in FAULTS {
            assert_eq!(
                readme.matches(&format!("\n| `{name}` | {call} | {what} |")).count(),
                1,
                "{name}"
            );
            assert_eq!(
                FAULTS.iter().filter(|(_, other, ..)| other == fault).count(),
                1,
                "{name}"
            );
            assert_eq!(find(name), Some(*fault));
        }
        assert_eq!(readme.matches("\n| `").count(), FAULTS.len());
    }
}
