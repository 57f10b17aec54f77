//! WASI, which components from other toolchains need, asked for what it must not give.

use whimbrel_plugin::{Failure, Result};

mod bindings {
    #![allow(
        missing_docs,
        unsafe_code,
        unused_qualifications,
        clippy::all,
        clippy::pedantic,
        clippy::unwrap_used,
        clippy::panic,
        clippy::cast_possible_truncation,
        reason = "generated"
    )]

    wit_bindgen::generate!({
        inline: r#"
            package whimbrel:nosy;

            world nosy {
                import wasi:cli/environment@0.2.0;
                import wasi:filesystem/preopens@0.2.0;
                import wasi:sockets/instance-network@0.2.0;
                import wasi:sockets/ip-name-lookup@0.2.0;
            }

            package wasi:cli@0.2.0 {
                interface environment {
                    get-environment: func() -> list<tuple<string, string>>;
                    get-arguments: func() -> list<string>;
                    initial-cwd: func() -> option<string>;
                }
            }

            package wasi:filesystem@0.2.0 {
                interface types {
                    resource descriptor;
                }
                interface preopens {
                    use types.{descriptor};
                    get-directories: func() -> list<tuple<descriptor, string>>;
                }
            }

            package wasi:sockets@0.2.0 {
                interface network {
                    resource network;
                    enum error-code {
                        unknown, access-denied, not-supported, invalid-argument, out-of-memory, timeout,
                        concurrency-conflict, not-in-progress, would-block, invalid-state, new-socket-limit,
                        address-not-bindable, address-in-use, remote-unreachable, connection-refused,
                        connection-reset, connection-aborted, datagram-too-large, name-unresolvable,
                        temporary-resolver-failure, permanent-resolver-failure,
                    }
                }
                interface instance-network {
                    use network.{network};
                    instance-network: func() -> network;
                }
                interface ip-name-lookup {
                    use network.{network, error-code};
                    resource resolve-address-stream;
                    resolve-addresses: func(network: borrow<network>, name: string)
                        -> result<resolve-address-stream, error-code>;
                }
            }
        "#,
        generate_all,
    });
}

use bindings::wasi::cli::environment;
use bindings::wasi::filesystem::preopens;
use bindings::wasi::sockets::{instance_network, ip_name_lookup};

/// All texts that WASI tells of the machine.
pub fn texts() -> Vec<String> {
    let variables = environment::get_environment().into_iter();
    let mut all: Vec<String> = variables.map(|(name, value)| format!("{name}={value}")).collect();
    all.extend(environment::get_arguments());
    all.extend(environment::initial_cwd());
    all.extend(preopens::get_directories().into_iter().map(|(_, path)| path));
    all
}

/// Fails where WASI gives anything of the machine, or looks a name up.
pub fn ask() -> Result<()> {
    let texts = texts();
    if !texts.is_empty() {
        return Err(Failure::internal(format!(
            "WASI tells {} things of the machine",
            texts.len()
        )));
    }
    let network = instance_network::instance_network();
    match ip_name_lookup::resolve_addresses(&network, "localhost") {
        Ok(_) => Err(Failure::internal("WASI looks names up")),
        Err(_) => Ok(()),
    }
}
