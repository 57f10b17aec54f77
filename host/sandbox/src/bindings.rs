//! The contract in Rust, generated from `wit/`. What crosses the boundary is turned into the model's types in
//! [`crate::convert`] at once; nothing outside this crate sees these.

#![allow(missing_docs, clippy::all, unused_qualifications, unused_variables, dead_code)] // Generated.

wasmtime::component::bindgen!({
    world: "connector",
    path: "../../wit",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "whimbrel:connector/blobs.blob": crate::host::blobs::Body,
        "whimbrel:connector/blobs.writer": crate::host::blobs::Writer,
        "whimbrel:connector/imap.session": crate::host::imap::Session,
        "whimbrel:connector/files.folder": crate::host::files::Folder,
        "whimbrel:connector/tcp.connection": crate::host::tcp::Connection,
    },
    trappable_error_type: { "whimbrel:connector/types.failure" => crate::host::HostError },
});

pub(crate) use exports::whimbrel::connector::{descriptor, destination, source};
pub(crate) use whimbrel::connector::types;
