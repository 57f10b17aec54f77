//! Between the generated bindings and the traits of this crate.

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::bindings::connector::exports::whimbrel::connector as exports;
use crate::{
    Collection, Connector, Description, Destination, Failure, Item, Kind, Limits, Page, Placement, Reader, Remark,
    Result, Settings, Source,
};

/// What [`export_connector!`](crate::export_connector) exports on behalf of a [`Connector`].
#[doc(hidden)]
pub struct Exported<C>(PhantomData<C>);

/// What [`export_reader!`](crate::export_reader) exports on behalf of a [`Reader`].
#[doc(hidden)]
pub struct ExportedReader<R>(PhantomData<R>);

/// An account behind a handle of the host's. A component runs one call at a time, so that the cell is never borrowed
/// twice.
#[doc(hidden)]
pub struct Account<T>(RefCell<T>);

/// Lets the host's log tell where the connector panicked, before it traps. What a panic says may hold parts of a message:
/// only texts that stand in the code are told.
#[cfg(target_family = "wasm")]
fn tell_panics() {
    use crate::log::{Level, write};
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic
                .location()
                .map_or_else(String::new, |place| format!(" at {place}"));
            let text = panic.payload().downcast_ref::<&'static str>().copied();
            let text = text.unwrap_or("(a text that is not told)");
            write(Level::Error, &format!("the connector panicked{place}: {text}"), &[]);
        }));
    });
}

/// In a native build a panic says all that it has to say.
#[cfg(not(target_family = "wasm"))]
fn tell_panics() {}

impl<C: Connector> exports::descriptor::Guest for Exported<C> {
    fn describe() -> Description {
        tell_panics();
        C::describe()
    }
}

impl<C: Connector> exports::source::Guest for Exported<C> {
    type Account = Account<C::Source>;
}

impl<C: Connector> exports::destination::Guest for Exported<C> {
    type Account = Account<C::Destination>;
}

impl<R: Reader> exports::descriptor::Guest for ExportedReader<R> {
    fn describe() -> Description {
        tell_panics();
        R::describe()
    }
}

impl<R: Reader> exports::source::Guest for ExportedReader<R> {
    type Account = Account<R::Source>;
}

impl<S: Source> exports::source::GuestAccount for Account<S> {
    fn open(settings: String) -> Result<exports::source::Account> {
        tell_panics();
        let opened = S::open(&Settings::new(settings))?;
        Ok(exports::source::Account::new(Self(RefCell::new(opened))))
    }

    fn collections(&self) -> Result<Vec<Collection>> {
        self.0.borrow_mut().collections()
    }

    fn changes(&self, collection: String, cursor: Option<String>, limit: u32) -> Result<Page> {
        self.0.borrow_mut().changes(&collection, cursor.as_deref(), limit)
    }

    fn fetch(&self, collection: String, ids: Vec<String>) -> Result<Vec<Result<Item>>> {
        self.0.borrow_mut().fetch(&collection, &ids)
    }

    fn wait(&self, timeout_ms: u64) -> Result<Vec<String>> {
        self.0.borrow_mut().wait(timeout_ms)
    }
}

impl<D: Destination> exports::destination::GuestAccount for Account<D> {
    fn open(settings: String) -> Result<exports::destination::Account> {
        tell_panics();
        let opened = D::open(&Settings::new(settings))?;
        Ok(exports::destination::Account::new(Self(RefCell::new(opened))))
    }

    fn limits(&self, kind: Kind) -> Result<Limits> {
        self.0.borrow_mut().limits(kind)
    }

    fn ensure(&self, wanted: Vec<Collection>) -> Result<Vec<Result<Collection>>> {
        self.0.borrow_mut().ensure_all(wanted)
    }

    fn watermark(&self, collection: String) -> Result<String> {
        self.0.borrow_mut().watermark(&collection)
    }

    fn put(&self, collection: String, items: Vec<Item>) -> Result<Vec<Result<Placement>>> {
        self.0.borrow_mut().put(&collection, items)
    }

    fn copy(&self, origin: String, id: String, target: String) -> Result<Placement> {
        self.0.borrow_mut().copy(&origin, &id, &target)
    }

    fn relocate(&self, origin: String, id: String, target: String) -> Result<Placement> {
        self.0.borrow_mut().relocate(&origin, &id, &target)
    }

    fn replace(&self, collection: String, id: String, revision: Option<String>, item: Item) -> Result<Placement> {
        self.0.borrow_mut().replace(&collection, &id, revision.as_deref(), item)
    }

    fn mark(&self, collection: String, remarks: Vec<Remark>) -> Result<Vec<Result<()>>> {
        self.0.borrow_mut().mark(&collection, &remarks)
    }

    fn remove(&self, collection: String, ids: Vec<String>) -> Result<Vec<Result<()>>> {
        self.0.borrow_mut().remove(&collection, &ids)
    }
}

/// Keeps the error type in one place for the generated signatures.
const _: fn(Failure) -> Result<()> = Err;

/// The version of this crate as bytes, for the custom section.
#[doc(hidden)]
pub const VERSION: [u8; crate::SDK_VERSION.len()] = {
    let text = crate::SDK_VERSION.as_bytes();
    let mut bytes = [0; crate::SDK_VERSION.len()];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = text[at];
        at += 1;
    }
    bytes
};

/// Exports a [`Connector`] as the component; once in a crate, at its root. Does nothing in a native build.
#[macro_export]
macro_rules! export_connector {
    ($connector:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::glue::Exported<$connector>;
    $crate::bindings::connector::export_connector_world!(Exported with_types_in $crate::bindings::connector);
            $crate::__sdk_section!();
        };
        #[cfg(not(target_family = "wasm"))]
        const _: fn() -> $crate::Description = <$connector as $crate::Connector>::describe;
    };
}

/// Exports a [`Reader`] as the component; once in a crate, at its root. Does nothing in a native build.
#[macro_export]
macro_rules! export_reader {
    ($reader:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::glue::ExportedReader<$reader>;
            $crate::bindings::connector::exports::whimbrel::connector::descriptor::__export_whimbrel_connector_descriptor_0_1_0_cabi!(Exported with_types_in $crate::bindings::connector::exports::whimbrel::connector::descriptor);
            $crate::bindings::connector::exports::whimbrel::connector::source::__export_whimbrel_connector_source_0_1_0_cabi!(Exported with_types_in $crate::bindings::connector::exports::whimbrel::connector::source);
            #[used]
            static WORLD: &[u8] = &$crate::bindings::reader::__WIT_BINDGEN_COMPONENT_TYPE;
            $crate::__sdk_section!();
        };
        #[cfg(not(target_family = "wasm"))]
        const _: fn() -> $crate::Description = <$reader as $crate::Reader>::describe;
    };
}

/// The custom section by which the host knows what a plugin was built with.
#[doc(hidden)]
#[macro_export]
macro_rules! __sdk_section {
    () => {
        #[used]
        #[unsafe(link_section = "whimbrel-sdk")]
        static SDK: [u8; $crate::glue::VERSION.len()] = $crate::glue::VERSION;
    };
}
