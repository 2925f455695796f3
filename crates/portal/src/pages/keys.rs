//! The list of keys, one key with its usage, and the one time its secret is shown.

use keytoll_domain::time::Timestamp;
use maud::{Markup, html};

use crate::ui::chart::{self, DayBar};
use crate::ui::icon::icon;
use crate::ui::part::{
    Tone, code, copy_button, empty, encode, environment, link_button, notice, pager, state,
};
use crate::ui::shell::{head, primary};
use crate::ui::text::{count, counted, date_time, day, to_the_second, when};
use crate::ui::{Nav, Page};

/// A key in a list (R27).
#[derive(Clone, Debug)]
pub struct KeyRow {
    pub id: String,
    pub name: String,
    pub prefix: String,
    pub test: bool,
    /// `active`, `disabled`, `expired` or `revoked`.
    pub status: &'static str,
    pub scopes: Vec<String>,
    pub last_used_at: Option<Timestamp>,
    pub total_requests: u64,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

/// `GET /keys`
#[derive(Clone, Debug, Default)]
pub struct KeyList {
    pub now: Timestamp,
    pub rows: Vec<KeyRow>,
    pub next_cursor: Option<String>,
    /// Counted where the whole list is on one page.
    pub active: Option<u64>,
    pub cap: u64,
    pub subscribed: bool,
    pub may_change: bool,
}

impl Page for KeyList {
    fn title(&self) -> String {
        "API keys".into()
    }
    fn nav(&self) -> Nav {
        Nav::Keys
    }
    fn body(&self) -> Markup {
        let actions = html! {
            @if self.may_change && self.subscribed { a class="button primary" href="/keys/new" { (icon("plus")) "Create key" } }
        };
        let about = html! {
            @if let Some(active) = self.active { (count(active)) " of " (counted(self.cap, "active key", "active keys")) " in use. " }
            @else { "At most " (counted(self.cap, "active key", "active keys")) ". " }
            "A key works until it is revoked or expires."
        };
        html! {
            (head(&[], "API keys", &about, &actions))
            div class="card" {
                @if self.rows.is_empty() { (self.nothing()) }
                @else {
                    div class="scroll" { table class="table fold" {
                        thead { tr {
                            th scope="col" { "Key" } th scope="col" { "Name" } th scope="col" { "Status" }
                            th scope="col" { span class="hush" { "Last used" } } th class="end" scope="col" { "Requests" } th { span class="hush" { "Actions" } }
                        } }
                        tbody { @for row in &self.rows { (self.row(row)) } }
                    } }
                    (pager(self.rows.len(), "keys", "/keys?", self.next_cursor.as_deref()))
                }
            }
        }
    }
}

impl KeyList {
    fn nothing(&self) -> Markup {
        if !self.subscribed {
            return empty(
                "key",
                "First choose a plan",
                "A key belongs to a subscription: the plan says what it may call and how often.",
                &primary("/catalog", "Browse the catalogue"),
            );
        }
        if !self.may_change {
            return empty(
                "key",
                "No keys yet",
                "An owner or developer of your organisation can create one.",
                &html! {},
            );
        }
        empty(
            "key",
            "No keys yet",
            "Create one and paste it into your first call.",
            &primary("/keys/new", "Create key"),
        )
    }

    fn row(&self, row: &KeyRow) -> Markup {
        html! {
            tr {
                td { span class="row" { code class="mono nowrap" { (row.prefix) "…" } (environment(row.test)) } }
                th scope="row" { a class="name" href={ "/keys/" (row.id) } { (row.name) } }
                td data-label="Status" { (key_state(row.status)) }
                td class="nowrap" { @if row.last_used_at.is_some() { span class="muted" { "Last used: " } } (last_used(row.last_used_at, self.now)) }
                td class="end" data-label="Requests" { span { (count(row.total_requests)) } }
                td class="end doing" {
                    @if self.may_change && row.status == "active" {
                        a class="button plain small red" href={ "/keys/" (row.id) "/revoke" } data-dialog aria-label={ "Delete " (row.name) } { "Delete" }
                    }
                }
            }
        }
    }
}

pub(crate) fn key_state(status: &'static str) -> Markup {
    let tone = match status {
        "active" => Tone::Good,
        "expired" | "disabled" => Tone::Warn,
        _ => Tone::Plain,
    };
    state(tone, status)
}

pub(crate) fn last_used(at: Option<Timestamp>, now: Timestamp) -> Markup {
    at.map_or_else(|| html! { span class="muted" { "Never used" } }, |at| when(at, now))
}

/// The one answer that shows a secret; sent with `no-store` and never addressable.
#[derive(Clone, Debug)]
pub struct SecretShown {
    pub id: String,
    pub name: String,
    pub secret: keytoll_domain::key::PlainKey,
    pub test: bool,
    pub curl: String,
    pub rolled: Option<Rolled>,
}

/// What became of the key that was replaced.
#[derive(Clone, Debug)]
pub struct Rolled {
    /// `None`: it ended at once.
    pub old_works_until: Option<Timestamp>,
    pub receipt: ReceiptView,
}

/// How fast the change reached the gateways.
#[derive(Clone, Debug, Default)]
pub struct ReceiptView {
    /// Node and milliseconds.
    pub nodes: Vec<(String, u64)>,
    pub missing: Vec<String>,
}

impl ReceiptView {
    pub(crate) fn show(&self) -> Markup {
        let slowest = self.nodes.iter().map(|(_, ms)| *ms).max().unwrap_or(0);
        html! {
            @if self.missing.is_empty() && self.nodes.is_empty() {
                "No gateway is running now; each applies it when it starts."
            } @else if self.missing.is_empty() {
                "Applied by " (counted(self.nodes.len() as u64, "gateway node", "gateway nodes")) " within " (count(slowest)) " ms"
                " (" @for (index, (node, ms)) in self.nodes.iter().enumerate() { @if index > 0 { ", " } (node) ": " (count(*ms)) " ms" } ")."
            } @else {
                b { "Not yet applied by: " (self.missing.join(", ")) ". " }
                "These nodes did not answer within 2 s; they stop accepting the key as soon as they are back in touch."
            }
        }
    }

    pub(crate) fn tone(&self) -> Tone {
        if self.missing.is_empty() { Tone::Good } else { Tone::Warn }
    }
}

impl Page for SecretShown {
    fn title(&self) -> String {
        if self.rolled.is_some() { "Key rolled".into() } else { "Key created".into() }
    }
    fn nav(&self) -> Nav {
        Nav::Keys
    }
    fn body(&self) -> Markup {
        html! {
            (head(&[("/keys", "API keys")], &self.title(), &html! { (self.name) " " (environment(self.test)) }, &html! {}))
            div class="stack narrow" {
                (notice(Tone::Warn, &html! {
                    b { "Copy the key now: you won't see it again." }
                    span { "Only a fingerprint of it is kept. Store this key securely, such as in a secret manager, never in a repository." }
                }))
                div class="code wrap" {
                    header { span { "Your key" } (copy_button("secret")) }
                    pre tabindex="0" { code id="secret" { (self.secret.expose()) } }
                }
                @if let Some(rolled) = &self.rolled {
                    (notice(rolled.receipt.tone(), &html! {
                        @match rolled.old_works_until {
                            Some(at) => b { "The old key works until " (date_time(at)) "." }
                            None => b { "The old key no longer works. Update your integration with the new key." }
                        }
                        span { (rolled.receipt.show()) }
                    }))
                }
                (code("first-call", "Your first call", &self.curl))
                div class="buttons" {
                    (link_button(&format!("/keys/{}", self.id), "primary", "I have stored it"))
                    (link_button("/keys", "plain", "All keys"))
                }
            }
        }
    }
}

/// `GET /keys/{id}`
#[derive(Clone, Debug)]
pub struct KeyDetail {
    pub now: Timestamp,
    pub key: KeyRow,
    pub plan: String,
    /// Products by name; empty = all of the plan.
    pub products: Vec<String>,
    pub rate_limit_per_minute: Option<u64>,
    /// The plan's windows and quota, in words.
    pub plan_limits: Vec<String>,
    pub allowed_ips: Vec<String>,
    pub revoked_at: Option<Timestamp>,
    pub days: Vec<DayBar>,
    pub endpoints: Vec<EndpointRow>,
    pub summary: UsageSummary,
    pub calls: RecentCalls,
    pub may_change: bool,
    pub staff: bool,
}

/// A part of the last calls.
#[derive(Clone, Debug, Default)]
pub struct RecentCalls {
    /// The newest first.
    pub rows: Vec<CallRow>,
    pub next_cursor: Option<String>,
    /// Whether this server has a gateway.
    pub known: bool,
    /// Whether it is not the first part.
    pub later: bool,
}

#[derive(Clone, Debug)]
pub struct CallRow {
    pub at: Timestamp,
    /// `None`: of no known operation.
    pub operation: Option<String>,
    pub status: u16,
    pub ms: u64,
    pub request_id: String,
}

#[derive(Clone, Debug)]
pub struct EndpointRow {
    /// `GET /shipments/{id}`
    pub endpoint: String,
    pub successes: u64,
    pub errors: u64,
    pub avg_latency_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct UsageSummary {
    pub calls: u64,
    /// Thousandths of all calls.
    pub errors_per_mille: u64,
    pub avg_latency_ms: Option<u64>,
}

impl Page for KeyDetail {
    fn title(&self) -> String {
        self.key.name.clone()
    }
    fn nav(&self) -> Nav {
        if self.staff { Nav::StaffKeys } else { Nav::Keys }
    }
    fn body(&self) -> Markup {
        let id = encode(&self.key.id);
        let usable = self.may_change && self.key.status == "active";
        let actions = html! {
            @if usable {
                a class="button" href={ "/keys/" (id) "/roll" } { (icon("roll")) "Roll" }
                a class="button plain red" href={ "/keys/" (id) "/revoke" } data-dialog { (icon("trash")) "Revoke" }
            }
        };
        let about = html! { span class="row" { code class="mono" { (self.key.prefix) "…" } (environment(self.key.test)) (key_state(self.key.status)) } };
        let up = if self.staff { ("/staff/keys", "All keys") } else { ("/keys", "API keys") };
        html! {
            (head(&[up], &self.key.name, &about, &actions))
            div class="stack" {
                (usage_stats("key-stats", self.summary))
                (chart_card("key-chart", &self.days))
                div class="two" { (self.endpoint_card()) (self.fact_card()) }
                (self.call_card(&id))
            }
        }
    }
}

impl KeyDetail {
    fn endpoint_card(&self) -> Markup {
        html! {
            section class="card" aria-labelledby="endpoints-title" {
                header { h2 id="endpoints-title" { "Operations called most" } span class="small muted" { "30 days" } }
                @if self.endpoints.is_empty() { (empty("chart", "No calls yet", "The operations this key calls appear here within seconds.", &html! {})) }
                @else { (endpoint_table(&self.endpoints)) }
            }
        }
    }

    fn call_card(&self, id: &str) -> Markup {
        let calls = &self.calls;
        html! {
            section class="card" id="calls" aria-labelledby="calls-title" {
                header { h2 id="calls-title" { "Recent calls" } span class="small muted" { "What this server has seen, newest first; refused requests are not calls." } }
                @if !calls.known { (empty("chart", "Not kept on this server", "It runs without a gateway. Look into the access logs of the gateways, by the request id of an answer.", &html! {})) }
                @else if calls.rows.is_empty() && calls.next_cursor.is_some() { (empty("chart", "No calls here yet", "This server has looked through the newest part of its journal. The next page looks further back.", &html! {})) }
                @else if calls.rows.is_empty() && calls.later { (empty("chart", "No earlier calls", "Nothing older was found in this server's journal.", &link_button(&format!("/keys/{id}#calls"), "", "Newest calls"))) }
                @else if calls.rows.is_empty() { (empty("chart", "No calls yet", "Make one with this key: it appears here within two seconds.", &link_button("/catalog", "", "Find a call to make"))) }
                @else { (call_table(&calls.rows)) }
                (pager(calls.rows.len(), "calls", &format!("/keys/{id}?"), calls.next_cursor.as_deref()))
            }
        }
    }

    fn fact_card(&self) -> Markup {
        html! {
            section class="card" aria-labelledby="facts-title" {
                header { h2 id="facts-title" { "Settings" } }
                div class="inside" { dl class="facts" {
                    dt { "Last used" } dd { (last_used(self.key.last_used_at, self.now)) }
                    dt { "Plan" } dd { (self.plan) }
                    dt { "Scopes" } dd { div class="row" { @for scope in &self.key.scopes { span class="badge code" { (scope) } } } }
                    dt { "APIs" } dd { @if self.products.is_empty() { "All of the plan" } @else { (self.products.join(", ")) } }
                    dt { "Own limit" } dd { @match self.rate_limit_per_minute { Some(limit) => { (counted(limit, "unit", "units")) " a minute" } None => "None: only the plan's limits" } }
                    dt { "Plan's limits" } dd { @if self.plan_limits.is_empty() { "None" } @else { @for limit in &self.plan_limits { div { (limit) } } } }
                    dt { "Allowed addresses" } dd { @if self.allowed_ips.is_empty() { "Any" } @else { @for ip in &self.allowed_ips { div { code { (ip) } } } } }
                    dt { "Created" } dd { (day(self.key.created_at)) }
                    @if let Some(at) = self.revoked_at { dt { "Revoked" } dd { (date_time(at)) } }
                    @else { dt { "Expires" } dd { @match self.key.expires_at { Some(at) => (date_time(at)), None => "Never" } } }
                } }
            }
        }
    }
}

fn endpoint_table(rows: &[EndpointRow]) -> Markup {
    html! {
        div class="scroll" { table class="table dense fold" {
            thead { tr { th scope="col" { "Operation" } th class="end" scope="col" { "Calls" } th class="end" scope="col" { "Errors" } th class="end" scope="col" { "Avg ms" } } }
            tbody { @for row in rows { tr {
                th scope="row" { code class="cut" { (row.endpoint) } }
                td class="end" data-label="Calls" { span { (count(row.successes.saturating_add(row.errors))) } }
                td class="end" data-label="Errors" { span { (count(row.errors)) } }
                td class="end" data-label="Avg ms" { span { @match row.avg_latency_ms { Some(ms) => (count(ms)), None => "–" } } }
            } } }
        } }
    }
}

fn call_table(rows: &[CallRow]) -> Markup {
    html! {
        div class="scroll" { table class="table dense fold" {
            thead { tr { th scope="col" { "Time (UTC)" } th scope="col" { "Operation" } th class="end" scope="col" { "Status" } th class="end" scope="col" { "ms" } th scope="col" { "Request id" } } }
            tbody { @for row in rows { tr {
                td class="nowrap" { time datetime=(row.at.rfc3339()) { (to_the_second(row.at)) } }
                th scope="row" { @match &row.operation { Some(operation) => code class="cut" { (operation) }, None => span class="muted" { "No known operation" } } }
                td class="end" data-label="Status" { span { (row.status) } }
                td class="end" data-label="ms" { span { (count(row.ms)) } }
                td data-label="Request id" { code class="cut" { (row.request_id) } }
            } } }
        } }
    }
}

/// Calls, error rate and latency of the last 30 days.
pub(crate) fn usage_stats(id: &str, summary: UsageSummary) -> Markup {
    html! {
        div class="three keep" id=(id) data-live {
            div class="card stat broad" { h2 { "Calls, 30 days" } p class="value" { span { (count(summary.calls)) } " " small { (if summary.calls == 1 { "call" } else { "calls" }) } } }
            div class="card stat" { h2 { "Error rate" } p class="value" { span { (summary.errors_per_mille / 10) "." (summary.errors_per_mille % 10) } " " small { "%" } } }
            div class="card stat" { h2 { "Avg response time" } p class="value" { span { @match summary.avg_latency_ms { Some(ms) => (count(ms)), None => "–" } } " " small { "ms" } } }
        }
    }
}

/// The 30-day chart in its card.
pub(crate) fn chart_card(id: &str, days: &[DayBar]) -> Markup {
    html! {
        section class="card" aria-labelledby={ (id) "-head" } {
            header { h2 id={ (id) "-head" } { "Calls per day, last " (days.len()) " days" } (chart::legend()) }
            div class="inside stack" { (chart::calls_per_day(id, days)) (chart::table(days)) }
        }
    }
}
