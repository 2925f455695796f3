//! The staff's pages: what runs, what is sold, to whom, and every key.

use keytoll_domain::time::Timestamp;
use maud::{Markup, html};

use super::keys::{KeyRow, key_state, last_used};
use crate::ui::form::search;
use crate::ui::icon::icon;
use crate::ui::part::{Tone, badge, code, empty, encode, environment, link_button, pager};
use crate::ui::shell::plain_head;
use crate::ui::text::{count, day, when};
use crate::ui::{Nav, Page};

/// `GET /staff`
#[derive(Clone, Debug, Default)]
pub struct Overview {
    pub now: Timestamp,
    pub products: u64,
    pub partners: u64,
    /// There are more than were counted.
    pub more_partners: bool,
    pub active_keys: u64,
    pub more_keys: bool,
    /// Name and day of sign-up.
    pub recent_partners: Vec<(String, Timestamp)>,
}

#[derive(Clone, Debug)]
pub struct ProductRow {
    pub id: String,
    pub name: String,
    pub status: &'static str,
    pub version: String,
    pub operations: u64,
    pub plans: Vec<String>,
    pub upstream: Option<String>,
    pub sandbox: bool,
}

/// `GET /staff/products`
#[derive(Clone, Debug, Default)]
pub struct Products {
    pub rows: Vec<ProductRow>,
    pub next_cursor: Option<String>,
}

#[derive(Clone, Debug)]
pub struct PartnerRow {
    pub id: String,
    pub name: String,
    pub email: Option<String>,
    pub plans: Vec<String>,
    pub active_keys: Option<u64>,
    pub created_at: Timestamp,
}

/// `GET /staff/partners`
#[derive(Clone, Debug, Default)]
pub struct Partners {
    pub now: Timestamp,
    pub query: String,
    pub rows: Vec<PartnerRow>,
    pub next_cursor: Option<String>,
}

/// `GET /staff/keys`
#[derive(Clone, Debug, Default)]
pub struct Keys {
    pub now: Timestamp,
    pub query: String,
    /// Id of the only partner shown, or empty.
    pub partner: String,
    /// Each with its partner's name.
    pub rows: Vec<(KeyRow, String)>,
    pub next_cursor: Option<String>,
    pub may_revoke: bool,
}

impl Page for Overview {
    fn title(&self) -> String {
        "Overview".into()
    }
    fn nav(&self) -> Nav {
        Nav::Staff
    }
    fn body(&self) -> Markup {
        html! {
            (plain_head("Overview", "What is for sale, who buys it, and whether the gateways are well."))
            div class="stack" {
                div class="three keep" {
                    (stat("Products", self.products, false, ("product", "products"), "/staff/products"))
                    (stat("Partners", self.partners, self.more_partners, ("partner", "partners"), "/staff/partners"))
                    (stat("Active keys", self.active_keys, self.more_keys, ("key", "keys"), "/staff/keys"))
                }
                div class="two" {
                    section class="card" aria-labelledby="newest-title" {
                        header { h2 id="newest-title" { "Newest partners" } a class="small" href="/staff/partners" { "All partners" } }
                        @if self.recent_partners.is_empty() {
                            (empty("people", "No partners yet", "They sign up by themselves; you can also make one with keytoll partner create.", &link_button("/signup", "", "See the sign-up page")))
                        } @else {
                            ul class="list" { @for (name, created_at) in &self.recent_partners { li {
                                span class="cut" { (name) } span class="small muted nowrap" { (when(*created_at, self.now)) }
                            } } }
                        }
                    }
                }
            }
        }
    }
}

/// A number with its unit; `more` when only so many were counted.
fn stat(title: &str, number: u64, more: bool, unit: (&str, &str), href: &str) -> Markup {
    html! {
        div class="card stat" {
            h2 { (title) }
            p class="value" { span { (count(number)) @if more { "+" } } " " small { (if number == 1 { unit.0 } else { unit.1 }) } }
            p class="note" { a href=(href) { "Show" span class="hush" { " " (title) } } }
        }
    }
}

impl Page for Products {
    fn title(&self) -> String {
        "Products".into()
    }
    fn nav(&self) -> Nav {
        Nav::StaffProducts
    }
    fn body(&self) -> Markup {
        html! {
            (plain_head("Products", "Each comes from an OpenAPI document. Import again to update it; plans and keys stay."))
            div class="stack" {
                div class="card" {
                    @if self.rows.is_empty() { (empty("box", "No products yet", "Import your first OpenAPI document with the command below.", &html! {})) }
                    @else {
                        div class="scroll" { table class="table fold" {
                            thead { tr { th scope="col" { "Product" } th scope="col" { "Status" } th scope="col" { "Plans" } th scope="col" { "Upstream" } th class="end" scope="col" { "Operations" } } }
                            tbody { @for row in &self.rows { (product_row(row)) } }
                        } }
                        (pager(self.rows.len(), "products", "/staff/products?", self.next_cursor.as_deref()))
                    }
                }
                (code("import", "Add or update a product", "keytoll product import --id my-api --spec ./openapi.yaml --upstream https://api.internal.example"))
                (code("apply", "Publish plans", "keytoll apply catalog.yaml --dry-run"))
            }
        }
    }
}

fn product_row(row: &ProductRow) -> Markup {
    html! {
        tr {
            th scope="row" { a class="name" href={ "/catalog/" (encode(&row.id)) } { (row.name) } div class="small muted cut" { code { (row.id) } @if !row.version.is_empty() { " · version " (row.version) } } }
            td data-label="Status" { (badge(match row.status { "active" => Tone::Good, "beta" => Tone::Info, _ => Tone::Warn }, row.status)) }
            td data-label="Plans" { span { @if row.plans.is_empty() { span class="muted" { "None: not for sale" } } @else { (row.plans.join(", ")) } } }
            td data-label="Upstream" { span class="cut small" { @match &row.upstream { Some(url) => code { (url) }, None => span class="muted" { "None: verified only" } } @if row.sandbox { " " (badge(Tone::Violet, "sandbox")) } } }
            td class="end" data-label="Operations" { span { (count(row.operations)) } }
        }
    }
}

impl Page for Partners {
    fn title(&self) -> String {
        "Partners".into()
    }
    fn nav(&self) -> Nav {
        Nav::StaffPartners
    }
    fn body(&self) -> Markup {
        html! {
            (plain_head("Partners", "Organisations that use your APIs, newest first."))
            form class="filters" method="get" action="/staff/partners" role="search" {
                (search(&self.query, "Search by name"))
                button class="button" type="submit" { (icon("search")) "Search" }
            }
            div class="card" {
                @if self.rows.is_empty() { (self.nothing()) }
                @else {
                    div class="scroll" { table class="table fold" {
                        thead { tr { th scope="col" { "Partner" } th scope="col" { "Plans" } th class="end" scope="col" { "Active keys" } th scope="col" { "Since" } th { span class="hush" { "Actions" } } } }
                        tbody { @for row in &self.rows { tr {
                            th scope="row" { span class="name" { (row.name) } @if let Some(email) = &row.email { div class="small muted cut" { (email) } } }
                            td data-label="Plans" { span { @if row.plans.is_empty() { span class="muted" { "None" } } @else { (row.plans.join(", ")) } } }
                            td class="end" data-label="Active keys" { span { @match row.active_keys { Some(keys) => (count(keys)), None => "–" } } }
                            td data-label="Since" { (day(row.created_at)) }
                            td class="end doing" { a class="button plain small" href={ "/staff/keys?partner=" (encode(&row.id)) } aria-label={ "Keys of " (row.name) } { "Keys" } }
                        } } }
                    } }
                    (pager(self.rows.len(), "partners", &format!("/staff/partners?q={}&", encode(&self.query)), self.next_cursor.as_deref()))
                }
            }
        }
    }
}

impl Partners {
    fn nothing(&self) -> Markup {
        if self.query.is_empty() {
            return empty(
                "people",
                "No partners yet",
                "They sign up by themselves; you can also make one with keytoll partner create.",
                &link_button("/signup", "", "See the sign-up page"),
            );
        }
        empty(
            "search",
            "No partner matches",
            "Search for the beginning of a name.",
            &link_button("/staff/partners", "", "Show all partners"),
        )
    }
}

impl Page for Keys {
    fn title(&self) -> String {
        "All keys".into()
    }
    fn nav(&self) -> Nav {
        Nav::StaffKeys
    }
    fn body(&self) -> Markup {
        html! {
            (plain_head("All keys", "Keys of every partner, newest first. Found a leaked key? Search for its beginning, such as sk_live_a3f9b1."))
            form class="filters" method="get" action="/staff/keys" role="search" {
                (search(&self.query, "Search by prefix or name"))
                @if !self.partner.is_empty() { input type="hidden" name="partner" value=(self.partner); }
                button class="button" type="submit" { (icon("search")) "Search" }
            }
            div class="card" {
                @if self.rows.is_empty() { (self.nothing()) }
                @else {
                    div class="scroll" { table class="table fold" {
                        thead { tr {
                            th scope="col" { "Key" } th scope="col" { "Name" } th scope="col" { "Partner" } th scope="col" { "Status" }
                            th scope="col" { "Last used" } th class="end" scope="col" { "Requests" } th { span class="hush" { "Actions" } }
                        } }
                        tbody { @for (key, partner) in &self.rows { (self.row(key, partner)) } }
                    } }
                    (pager(self.rows.len(), "keys", &format!("/staff/keys?q={}&partner={}&", encode(&self.query), encode(&self.partner)), self.next_cursor.as_deref()))
                }
            }
        }
    }
}

impl Keys {
    fn nothing(&self) -> Markup {
        if self.query.is_empty() {
            return empty(
                "key",
                "No keys yet",
                "Partners create them once they have chosen a plan.",
                &link_button("/staff/partners", "", "See partners"),
            );
        }
        empty(
            "search",
            "No key matches",
            "Search for the beginning of a key or of its name.",
            &link_button("/staff/keys", "", "Show all keys"),
        )
    }

    fn row(&self, key: &KeyRow, partner: &str) -> Markup {
        html! {
            tr {
                td { span class="row" { code class="mono nowrap" { (key.prefix) "…" } (environment(key.test)) } }
                th scope="row" { a class="name" href={ "/keys/" (encode(&key.id)) } { (key.name) } }
                td data-label="Partner" { span class="cut" { (partner) } }
                td data-label="Status" { (key_state(key.status)) }
                td data-label="Last used" { (last_used(key.last_used_at, self.now)) }
                td class="end" data-label="Requests" { span { (count(key.total_requests)) } }
                td class="end doing" {
                    @if self.may_revoke && key.status == "active" {
                        a class="button plain small red" href={ "/keys/" (encode(&key.id)) "/revoke" } data-dialog aria-label={ "Revoke " (key.name) } { "Revoke" }
                    }
                }
            }
        }
    }
}
