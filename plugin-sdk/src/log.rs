//! Lines for the admin's log. No subjects, bodies or addresses.

pub use crate::bindings::connector::whimbrel::connector::log::Level;

/// Writes a line with fields. A native build keeps it for the test, or drops it.
pub fn write(level: Level, message: &str, fields: &[(&str, String)]) {
    #[cfg(target_family = "wasm")]
    {
        let fields: Vec<(String, String)> = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        crate::bindings::connector::whimbrel::connector::log::write(level, message, &fields);
    }
    #[cfg(all(feature = "testing", not(target_family = "wasm")))]
    crate::native::logged(level, message, fields);
    #[cfg(not(any(feature = "testing", target_family = "wasm")))]
    let _ = (level, message, fields);
}

/// `log!(Level::Warn, "text {}", value; "field" => value, …)`: the fields may be left out.
#[macro_export]
macro_rules! log {
    ($level:expr, $format:literal $(, $argument:expr)* $(; $($name:literal => $value:expr),+)?) => {
        $crate::log::write($level, &::std::format!($format $(, $argument)*), &[$($(($name, ::std::string::ToString::to_string(&$value))),+)?])
    };
}
/// A line at level `debug`; see [`log!`](crate::log!).
#[macro_export]
macro_rules! debug {
    ($($rest:tt)*) => { $crate::log!($crate::log::Level::Debug, $($rest)*) };
}
/// A line at level `info`; see [`log!`](crate::log!).
#[macro_export]
macro_rules! info {
    ($($rest:tt)*) => { $crate::log!($crate::log::Level::Info, $($rest)*) };
}
/// A line at level `warn`; see [`log!`](crate::log!).
#[macro_export]
macro_rules! warn {
    ($($rest:tt)*) => { $crate::log!($crate::log::Level::Warn, $($rest)*) };
}
