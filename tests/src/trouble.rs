//! Killing runs and breaking lines, again and again, until a migration is through.
#![allow(clippy::print_stdout)] // Figures, shown with --nocapture.

use std::time::Duration;

use crate::account::Account;
use crate::proxy::{Fault, Plan, Proxy};
use crate::run::Job;
use crate::scratch::Random;

/// Kills so many runs of one migration, at moments spread over all of it, and lets the last one finish.
///
/// The moments come from what passes the proxy before the destination: a few in the first instants of a run, when it
/// settles what the last one left, the others after a random share of the bytes that are to move, plus a random
/// moment of a few milliseconds. The line is slow enough ([`slow`]) that a busy machine does not miss them.
pub fn kill_and_resume(job: &Job, proxy: &Proxy, bytes: u64, rounds: u64, seed: u64) {
    let mut random = Random::new(seed);
    let mut killed = 0;
    for round in 0..rounds {
        let share = if random.chance(20) {
            0
        } else {
            random.below(2 * bytes / (rounds + rounds / 4))
        };
        let start = proxy.bytes();
        let mut running = job.start(&["migrate"]);
        let mut ended = false;
        while !ended && proxy.bytes() - start < share {
            ended = !running.run_for(Duration::from_millis(1));
        }
        let moment = if share == 0 { random.below(250) } else { random.below(8) };
        if !ended && running.run_for(Duration::from_millis(moment)) {
            running.kill();
            killed += 1;
        } else {
            let outcome = running.wait(Duration::from_secs(60));
            outcome.expect(0);
            println!("round {round}: already finished");
        }
    }
    assert!(
        killed * 10 >= rounds * 8,
        "only {killed} of {rounds} runs were killed in time: the account is too small"
    );
    let outcome = job.migrate();
    outcome.adds_up();
    let again = job.migrate();
    assert_eq!(again.worked("copied"), 0, "{again}");
}

/// What is on its way when a run is killed arrives well within this time.
pub const QUIET: &str = "[limits]\nquiet = \"1s\"\n";

/// A line on which all of the account takes four seconds.
pub fn slow(account: &Account, plan: Plan) -> Plan {
    Plan {
        rate: Some(account.bytes() / 4),
        ..plan
    }
}

/// What strikes each connection.
pub type Faults = Box<dyn Fn(u64, &mut Random) -> Fault + Send>;

/// Cuts after a random number of bytes up to `most`, for every connection but one in five.
pub fn cuts(most: u64) -> Faults {
    Box::new(move |_, random| {
        if random.chance(80) {
            Fault::Cut {
                after: random.below(most),
            }
        } else {
            Fault::None
        }
    })
}

/// One of everything, over TLS, where a flipped bit is found out.
pub fn everything(most: u64) -> Faults {
    Box::new(move |_, random| match random.below(6) {
        0 => Fault::Refuse,
        1 | 2 => Fault::Cut {
            after: random.below(most),
        },
        3 => Fault::Stall {
            after: random.below(most),
            open: Duration::from_millis(random.between(200, 1500)),
        },
        4 => Fault::Garble {
            after: random.below(most),
        },
        _ => Fault::None,
    })
}

/// Runs until it is through: a run that gives up on a bad line says so with 3 and goes on where it stopped. After
/// twenty runs the lines behave.
pub fn until_finished(job: &Job, proxies: &[&Proxy]) {
    let mut last = String::new();
    for attempt in 0..24 {
        if attempt == 20 {
            proxies.iter().for_each(|proxy| proxy.calm(true));
        }
        let outcome = job.run(&["migrate"]);
        if outcome.code == Some(0) {
            outcome.adds_up();
            let faults: u64 = proxies.iter().map(|proxy| proxy.faults()).sum();
            println!("through after {} runs and {faults} faults", attempt + 1);
            assert!(faults >= 5, "only {faults} faults struck: this shows nothing");
            return;
        }
        outcome.expect(3);
        let json = outcome.json();
        assert!(
            json["mailboxes"][0]["problems"][0]["remedy"].is_string() || outcome.total("failed") > 0,
            "{outcome}"
        );
        last = outcome.to_string();
    }
    panic!("never finished; the last run: {last}");
}
