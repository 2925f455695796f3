//! The `keytoll` binary: command line, configuration and the wiring of ports.
//!
//! Everything it can do is a use case of another crate; this one reads arguments, opens the context and
//! prints. Only here are the system's clock and randomness read.

#![expect(unreachable_pub, reason = "nothing is reachable from outside a binary")]

mod cli;
mod commands;
mod config;
mod context;
mod demo;
mod handover;
mod lock;
mod output;
mod ports;
mod server;
mod signals;
mod signing;
mod specs;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

use cli::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Database, journal, access log and backups hold what only their owner may read.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let cli = Cli::parse();
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("keytoll: {error:#}");
            ExitCode::FAILURE
        }
    }
}
