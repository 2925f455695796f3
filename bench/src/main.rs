//! What the scripts of this folder need beside wrk: keys, an upstream that can misbehave and counts what it sees,
//! a client at a fixed rate, and a client that misbehaves.
//!
//! Everything runs in one thread on epoll, so that the load side takes as little as it can of the core it shares.

mod arguments;
mod client;
mod keys;
mod open_loop;
mod poll;
mod random;
mod soak;
mod upstream;

use std::process::ExitCode;

use arguments::Arguments;

const USAGE: &str = "\
keytoll-bench keys COUNT [SEED]                      keys, one a line; the same seed gives the same keys
keytoll-bench upstream --port P [--body BYTES] [--faults PER_10000]
                                                     GET /-/count answers the number of requests seen
keytoll-bench open-loop --to HOST:PORT --path /P --keys FILE --rate R --seconds S [--connections N]
keytoll-bench soak --to HOST:PORT --path /P --keys FILE --seconds S [--connections N] [--drops PER_10000]";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let done = match command.as_str() {
        "keys" => keys::run(words),
        "upstream" => Arguments::of(words).and_then(|given| upstream::run(&given)),
        "open-loop" => Arguments::of(words).and_then(|given| open_loop::run(&given)),
        "soak" => Arguments::of(words).and_then(|given| soak::run(&given)),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
