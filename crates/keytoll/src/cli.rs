//! The command line: what can be typed, with its help.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Sell access to your APIs: gateway, keys, plans, limits, metering, billing and a partner portal.
#[derive(Debug, Parser)]
#[command(name = "keytoll", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Configuration file [default: ./keytoll.toml if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print one JSON document on standard output
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Try everything: a sample API, plans, users and traffic in an empty folder
    Demo(Demo),
    /// Run gateway and portal
    Serve(Serve),
    /// Show or check the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Bring the database to this version's schema
    Migrate,
    /// Write a copy of the database to FILE
    Backup { file: PathBuf },
    /// Replace the database by the copy in FILE; the server must be stopped
    Restore { file: PathBuf },
    /// Look for what keeps this installation from working
    Doctor,
    /// Manage the provider's people
    #[command(subcommand)]
    Staff(StaffCommand),
    /// Manage management tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Apply a catalogue of products and plans
    Apply {
        /// The catalogue, a YAML file
        catalog: PathBuf,
        /// Only print what would change
        #[arg(long)]
        dry_run: bool,
    },
    /// Manage products
    #[command(subcommand)]
    Product(ProductCommand),
    /// Manage partners
    #[command(subcommand)]
    Partner(PartnerCommand),
    /// Subscribe a partner to a plan
    Subscribe {
        /// The partner's id
        #[arg(long)]
        partner: String,
        /// The plan's slug
        #[arg(long)]
        plan: String,
        /// Bill from the day of purchase instead of by calendar month
        #[arg(long)]
        anniversary: bool,
    },
    /// Look at subscriptions and what was agreed beside their plans
    #[command(subcommand)]
    Subscription(SubscriptionCommand),
    /// Manage API keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Import keys that exist already
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Look at OpenAPI documents
    #[command(subcommand)]
    Spec(SpecCommand),
    /// Export calls
    #[command(subcommand)]
    Usage(UsageCommand),
    /// Check the ledger
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Make invoices
    #[command(subcommand)]
    Invoice(InvoiceCommand),
    /// Print the OpenAPI document of the management API
    Openapi,
}

#[derive(Args, Debug)]
pub struct Demo {
    /// Address of the gateway
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub gateway: SocketAddr,
    /// Address of the portal
    #[arg(long, default_value = "127.0.0.1:8081")]
    pub portal: SocketAddr,
    /// Folder of the demo's data
    #[arg(long, default_value = "./keytoll-demo")]
    pub data: PathBuf,
    /// Make no calls of its own
    #[arg(long)]
    pub no_traffic: bool,
}

#[derive(Args, Debug)]
pub struct Serve {
    /// Which part to run
    #[arg(long, value_enum, default_value_t = Role::All)]
    pub role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    All,
    Gateway,
    Control,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every key with its value
    Show {
        /// Also say where each value comes from
        #[arg(long)]
        sources: bool,
    },
    /// Read the configuration and say whether it is valid
    Check,
}

#[derive(Debug, Subcommand)]
pub enum StaffCommand {
    /// Create a staff user; the password is read from standard input
    Create {
        #[arg(long)]
        email: String,
        /// Read the password from the first line of standard input
        #[arg(long, required = true)]
        password_stdin: bool,
        /// owner, admin, finance, support or viewer
        #[arg(long)]
        role: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Create a management token; it is printed once
    Create {
        #[arg(long)]
        name: String,
        /// owner, admin, finance, support, viewer or verifier
        #[arg(long)]
        role: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum ProductCommand {
    /// Import an OpenAPI document as a product
    Import {
        /// The product's id: a lower-case letter, then letters, digits and dashes
        #[arg(long)]
        id: String,
        /// File or URL of the OpenAPI document, JSON or YAML
        #[arg(long)]
        spec: String,
        /// Base URL calls are forwarded to
        #[arg(long)]
        upstream: String,
        /// Base URL for calls with test keys
        #[arg(long)]
        sandbox: Option<String>,
    },
    /// List products
    List,
    /// Show one product with all its settings
    Show { id: String },
    /// Show the secret with which a product's upstream verifies signed requests
    SigningSecret { id: String },
    /// Answer every call of a product with 503, or serve it again
    ///
    /// The change reaches every gateway at once and lasts until it is undone. It is not written to your catalogue
    /// file: the next `keytoll apply` sets what the catalogue says, so a product without `maintenance` there is
    /// served again.
    Maintenance {
        id: String,
        #[arg(value_enum)]
        state: Switch,
        /// What callers are told
        #[arg(long, value_name = "TEXT")]
        message: Option<String>,
        /// When callers shall try again, such as 2027-01-01T06:00:00Z; it does not end by itself
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Debug, Subcommand)]
pub enum PartnerCommand {
    /// Create a partner that staff look after: it has no login of its own
    Create {
        #[arg(long)]
        name: String,
        #[arg(long)]
        email: String,
    },
    /// List partners
    List,
}

#[derive(Debug, Subcommand)]
pub enum SubscriptionCommand {
    /// List subscriptions, oldest first
    List {
        /// Only this partner's
        #[arg(long)]
        partner: Option<String>,
    },
    /// Show a subscription
    Show { id: String },
    /// Change what holds for a subscription beside its plan; `none` returns to what the plan says
    Set(SetSubscription),
}

#[derive(Args, Debug)]
pub struct SetSubscription {
    pub id: String,
    /// The most a period may cost, in the main unit of the plan's currency
    #[arg(long, value_name = "AMOUNT|none")]
    pub spend_cap: Option<String>,
    /// A window, such as second=20; may be repeated: all windows together replace the plan's
    #[arg(long = "limit", value_name = "WINDOW=UNITS|none")]
    pub limits: Vec<String>,
    /// Units of a period, such as 1000:hard or 1000:soft
    #[arg(long, value_name = "UNITS:hard|UNITS:soft|none")]
    pub quota: Option<String>,
    /// Calls in flight per key
    #[arg(long, value_name = "CALLS|none")]
    pub concurrency: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Create a key; its secret is printed once
    Create {
        /// The subscription's id
        #[arg(long)]
        subscription: String,
        #[arg(long)]
        name: String,
        /// A scope the key holds; may be repeated [default: *]
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// live or test
        #[arg(long, default_value = "live")]
        environment: String,
        /// A window of the key's own, such as second=5; may be repeated [default: only the plan's]
        #[arg(long = "limit", value_name = "WINDOW=UNITS")]
        limits: Vec<String>,
    },
    /// List keys, newest first
    List {
        /// Only this partner's
        #[arg(long)]
        partner: Option<String>,
    },
    /// Revoke a key; it fails from its next call on
    Revoke { id: String },
    /// Replace a key by a new one with the same settings
    Roll {
        id: String,
        /// Let the old key live this many seconds more
        #[arg(long, default_value_t = 0, value_name = "SECS")]
        grace: u32,
    },
}

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Import keys or their SHA-256, as plain lines or JSON lines
    Import {
        #[arg(long)]
        subscription: String,
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum SpecCommand {
    /// Say what is in a document and what is doubtful about it
    Check { file: PathBuf },
    /// Compare two versions; exit status 1 when a change breaks callers
    Diff { old: PathBuf, new: PathBuf },
}

#[derive(Debug, Subcommand)]
pub enum UsageCommand {
    /// Write the calls of this node's journal, one a line
    Export {
        /// First day, such as 2026-11-01
        #[arg(long, value_name = "DAY")]
        from: String,
        /// Last day, included
        #[arg(long, value_name = "DAY")]
        to: String,
        #[arg(long, value_enum, default_value_t = ExportFormat::Csv)]
        format: ExportFormat,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    Csv,
    Jsonl,
}

#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Check the chain of seals, the journal and the stored sums against each other
    Verify,
}

#[derive(Debug, Subcommand)]
pub enum InvoiceCommand {
    /// Make the invoices of the periods that end in a month; running periods give drafts
    Run {
        /// The month, such as 2026-11
        #[arg(long, value_name = "YYYY-MM")]
        period: String,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    /// Every command that can be typed, as `invoice run`.
    fn leaves(command: &clap::Command, path: &str, into: &mut Vec<String>) {
        let mut below = command.get_subcommands().filter(|c| c.get_name() != "help").peekable();
        if below.peek().is_none() {
            into.push(path.trim().to_owned());
        }
        for sub in below {
            leaves(sub, &format!("{path} {}", sub.get_name()), into);
        }
    }

    #[test]
    fn the_reference_names_every_command() {
        let page = include_str!("../../../docs/reference/cli.md");
        let mut commands = Vec::new();
        leaves(&super::Cli::command(), "", &mut commands);
        assert!(commands.len() > 20);
        for command in commands {
            assert!(
                page.contains(&format!("`{command}")),
                "docs/reference/cli.md lacks `{command}`"
            );
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
