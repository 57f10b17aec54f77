//! What `wit-bindgen` makes of `wit/`. Use the names that the crate's root re-exports; these here may move.
#![allow(
    missing_docs,
    unsafe_code,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::panic,
    reason = "generated; the documentation is in wit/"
)]

/// A provider that can be read and written.
#[cfg(not(all(feature = "testing", not(target_family = "wasm"))))]
pub mod connector {
    wit_bindgen::generate!({
        path: "wit",
        world: "connector",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_connector_world",
        additional_derives: [PartialEq, Eq],
        additional_derives_ignore: ["item", "message", "outgoing", "request", "response"],
    });
}

/// A provider that can be read and written, on the host that [`testing`](crate::testing) is.
#[cfg(all(feature = "testing", not(target_family = "wasm")))]
pub mod connector {
    wit_bindgen::generate!({
        path: "wit",
        world: "connector",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_connector_world",
        additional_derives: [PartialEq, Eq],
        additional_derives_ignore: ["item", "message", "outgoing", "request", "response"],
        with: {
            "whimbrel:connector/blobs@0.1.0": crate::native::blobs,
            "whimbrel:connector/files@0.1.0": crate::native::files,
            "whimbrel:connector/http@0.1.0": crate::native::http,
            "whimbrel:connector/imap@0.1.0": crate::native::imap,
            "whimbrel:connector/tcp@0.1.0": crate::native::tcp,
        },
    });
}

/// The world of a provider that can be read only. Only its description of the component is used, which a reader's
/// code is to be linked with; the traits are those of [`connector`].
#[cfg(not(all(feature = "testing", not(target_family = "wasm"))))]
pub mod reader {
    wit_bindgen::generate!({
        path: "wit",
        world: "reader",
        with: {
            "whimbrel:connector/types@0.1.0": super::connector::whimbrel::connector::types,
            "whimbrel:connector/blobs@0.1.0": super::connector::whimbrel::connector::blobs,
            "whimbrel:connector/log@0.1.0": super::connector::whimbrel::connector::log,
            "whimbrel:connector/imap@0.1.0": super::connector::whimbrel::connector::imap,
            "whimbrel:connector/http@0.1.0": super::connector::whimbrel::connector::http,
            "whimbrel:connector/files@0.1.0": super::connector::whimbrel::connector::files,
            "whimbrel:connector/tcp@0.1.0": super::connector::whimbrel::connector::tcp,
        },
    });
}
