//! One file per group of commands. A command parses its arguments, calls one use case and prints its answer.

mod catalog;
mod configuration;
mod invoices;
mod keys;
mod ledger;
mod people;
mod serve;
mod spec;
mod storage;
mod subscriptions;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use keytoll_control::Ctx;
use keytoll_control::fault::Fault;
use tokio::runtime::Runtime;

use crate::cli::{self, Cli, Command};
use crate::config::{self, Loaded};
use crate::output::{self, Output};
use crate::wiring::FeedWake;
use crate::{context, demo};

/// Runs what was typed.
pub fn run(cli: Cli) -> Result<ExitCode> {
    let output = Output { json: cli.common.json };
    match &cli.command {
        Command::Spec(cli::SpecCommand::Check { file }) => return spec::check(file, output),
        Command::Spec(cli::SpecCommand::Diff { old, new }) => return spec::diff(old, new, output),
        Command::Openapi => {
            output::line(&keytoll_portal::openapi_json())?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Demo(arguments) => return demo::run(arguments),
        _ => {}
    }
    let loaded = config::load(cli.common.config.as_deref(), std::env::vars_os().filter_map(utf8))?;
    match cli.command {
        Command::Config(cli::ConfigCommand::Show { sources }) => {
            configuration::show(&loaded, sources, output)?;
        }
        Command::Config(cli::ConfigCommand::Check) => configuration::check(&loaded, output)?,
        Command::Serve(arguments) => {
            return serve::run(&loaded, cli.common.config.as_deref(), arguments.role);
        }
        Command::Restore { file } => storage::restore(&loaded, &file, output)?,
        Command::Doctor => return storage::doctor(&loaded, output),
        command => {
            let runtime = runtime()?;
            return runtime.block_on(with_store(command, &loaded, output));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The commands that open the store, work beside a running server and end.
async fn with_store(command: Command, loaded: &Loaded, output: Output) -> Result<ExitCode> {
    let ctx = context::open(&loaded.config, Arc::new(FeedWake::default())).await?;
    let ended = dispatch(command, loaded, &ctx, output).await;
    ctx.store.close().await;
    ended
}

async fn dispatch(
    command: Command,
    loaded: &Loaded,
    ctx: &Ctx,
    output: Output,
) -> Result<ExitCode> {
    match command {
        Command::Migrate => storage::migrated(output)?,
        Command::Backup { file } => storage::backup(ctx, &file, output).await?,
        Command::Staff(command) => people::staff(ctx, command, output).await?,
        Command::Token(command) => people::token(ctx, command, output).await?,
        Command::Partner(command) => people::partner(ctx, command, output).await?,
        Command::Apply { catalog, dry_run } => {
            catalog::apply(ctx, &catalog, dry_run, output).await?;
        }
        Command::Product(command) => {
            catalog::product(ctx, &loaded.config, command, output).await?;
        }
        Command::Subscribe { partner, plan, anniversary } => {
            catalog::subscribe(ctx, &partner, &plan, anniversary, output).await?;
        }
        Command::Subscription(command) => {
            subscriptions::subscription(ctx, command, output).await?;
        }
        Command::Key(command) => keys::key(ctx, command, output).await?,
        Command::Keys(cli::KeysCommand::Import { subscription, file }) => {
            keys::import(ctx, &subscription, &file, output).await?;
        }
        Command::Usage(cli::UsageCommand::Export { from, to, format }) => {
            ledger::export(ctx, &loaded.config, &from, &to, format, output).await?;
        }
        Command::Ledger(cli::LedgerCommand::Verify) => {
            return ledger::verify(ctx, &loaded.config, output).await;
        }
        Command::Invoice(cli::InvoiceCommand::Run { period }) => {
            invoices::run(ctx, &period, output).await?;
        }
        Command::Demo(_)
        | Command::Serve(_)
        | Command::Config(_)
        | Command::Restore { .. }
        | Command::Doctor
        | Command::Spec(_)
        | Command::Openapi => unreachable!("dispatched before the store was opened"),
    }
    Ok(ExitCode::SUCCESS)
}

/// The control plane's runtime: SQL, pages and jobs, never a gateway core.
pub fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

fn utf8((name, value): (std::ffi::OsString, std::ffi::OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}

/// Many faults as one error, each on a line of its own.
fn faults(what: &str, faults: &[Fault]) -> anyhow::Error {
    let lines: Vec<String> = faults.iter().map(|fault| format!("  {fault}")).collect();
    anyhow::anyhow!("{what}\n{}", lines.join("\n"))
}
