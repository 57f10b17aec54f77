//! What the fingerprint of a body costs: `cargo run --release -p whimbrel-model --example fingerprint_cost`.
#![allow(clippy::print_stdout, clippy::cast_precision_loss)] // A measuring tool of developers.

use std::{hint::black_box, time::Instant};

use whimbrel_model::{Fingerprint, Fingerprinter, Hash};

/// Bytes that are hashed in all, for each line.
const BYTES: usize = 512 << 20;

fn main() {
    println!("    bytes  line end  hash alone  at once  in pieces   (ns a KiB)");
    for size in [500, 2_500, 36_000, 1_000_000] {
        for end in ["\r\n", "\n"] {
            let line = format!("{}{end}", "x".repeat(76));
            // As mail does, it ends with a line end.
            let body: Vec<u8> = line.repeat(size / line.len()).into_bytes();
            let alone = time(size, || _ = black_box(Hash::of(black_box(&body))));
            let at_once = time(size, || _ = black_box(Fingerprint::of(black_box(&body))));
            let in_pieces = time(size, || {
                let mut printer = Fingerprinter::new();
                black_box(&body)
                    .chunks(64 << 10)
                    .for_each(|piece| printer.update(piece));
                black_box(printer.finish());
            });
            println!("{size:>9}  {end:<8?}  {alone:>10.0}  {at_once:>7.0}  {in_pieces:>9.0}");
        }
    }
}

/// Nanoseconds for each KiB.
fn time(size: usize, work: impl Fn()) -> f64 {
    let rounds = BYTES / size;
    let begun = Instant::now();
    (0..rounds).for_each(|_| work());
    begun.elapsed().as_secs_f64() * 1e9 / (rounds * size) as f64 * 1024.0
}
