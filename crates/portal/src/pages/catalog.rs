//! The catalogue and one product's page: what it does, what it costs, how to call it.

use maud::{Markup, html};

use super::plans::PlanTerms;
use crate::ui::form::{search, select};
use crate::ui::icon::icon;
use crate::ui::part::{Tone, badge, code, copy_button, empty, encode, link_button, method, pager};
use crate::ui::shell::{head, plain_head};
use crate::ui::text::counted;
use crate::ui::{Nav, Page, markdown};

pub const CATEGORIES: [&str; 5] = ["logistics", "payments", "data", "communication", "analytics"];

#[derive(Clone, Debug)]
pub struct ProductCard {
    pub id: String,
    pub name: String,
    /// Markdown; shown as its first words.
    pub description: String,
    pub version: String,
    pub category: Option<&'static str>,
    /// `active`, `beta` or `deprecated`.
    pub status: &'static str,
    pub operations: usize,
    /// `from $49.00 a month`
    pub from_price: Option<String>,
}

/// `GET /catalog`
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    pub query: String,
    pub category: String,
    pub products: Vec<ProductCard>,
    pub next_cursor: Option<String>,
    pub staff: bool,
}

#[derive(Clone, Debug)]
pub struct ParameterRow {
    pub name: String,
    pub location: &'static str,
    pub kind: String,
    pub required: bool,
    pub description: String,
    pub example: Option<String>,
}

#[derive(Clone, Debug)]
pub struct ResponseRow {
    pub status: String,
    pub description: String,
    pub example: Option<String>,
}

#[derive(Clone, Debug)]
pub struct OperationView {
    pub method: String,
    pub path: String,
    pub summary: String,
    pub description: String,
    pub deprecated: bool,
    /// Alternatives, of which one must be held whole.
    pub scopes: Vec<Vec<String>>,
    pub units: u64,
    pub parameters: Vec<ParameterRow>,
    /// Content type and example.
    pub body: Option<(String, String)>,
    pub responses: Vec<ResponseRow>,
    pub curl: String,
}

/// Operations that share their first tag.
#[derive(Clone, Debug)]
pub struct OperationGroup {
    pub tag: String,
    pub operations: Vec<OperationView>,
}

/// `GET /catalog/{product}`
#[derive(Clone, Debug)]
pub struct ProductPage {
    pub id: String,
    pub name: String,
    pub description: String,
    pub version: String,
    pub category: Option<&'static str>,
    pub status: &'static str,
    pub tags: Vec<String>,
    pub base_url: String,
    pub sandbox: bool,
    pub plans: Vec<PlanTerms>,
    pub groups: Vec<OperationGroup>,
    /// Operations beyond those shown.
    pub left_out: usize,
    /// Whether a key needs to be bought at all.
    pub keyless: bool,
}

impl Page for Catalog {
    fn title(&self) -> String {
        "API catalogue".into()
    }
    fn nav(&self) -> Nav {
        Nav::Catalog
    }
    fn body(&self) -> Markup {
        let mut categories = vec![("", "All categories")];
        categories.extend(CATEGORIES.iter().map(|name| (*name, *name)));
        let filtered = !self.query.is_empty() || !self.category.is_empty();
        let base =
            format!("/catalog?q={}&category={}&", encode(&self.query), encode(&self.category));
        html! {
            div {
                (plain_head("API catalogue", "Everything for sale here. Open an API for its operations, plans and a sample call."))
                form class="filters" method="get" action="/catalog" role="search" {
                    (search(&self.query, "Search name, description or tag"))
                    (select("category", "Category", &self.category, &categories))
                    button class="button" type="submit" { (icon("search")) "Search" }
                }
                @if self.products.is_empty() { div class="card" { (self.nothing(filtered)) } }
                @else {
                    ul class="cards" { @for product in &self.products { (product_card(product)) } }
                    (pager(self.products.len(), "APIs", &base, self.next_cursor.as_deref()))
                }
            }
        }
    }
}

impl Catalog {
    fn nothing(&self, filtered: bool) -> Markup {
        if filtered {
            return empty(
                "search",
                "No API matches",
                "Try fewer words or another category.",
                &link_button("/catalog", "", "Show all APIs"),
            );
        }
        if self.staff {
            return empty(
                "book",
                "No API is for sale yet",
                "Import an OpenAPI document with keytoll product import, then give it plans with keytoll apply.",
                &link_button("/staff/products", "", "Go to products"),
            );
        }
        empty(
            "book",
            "No API is for sale yet",
            "The provider has not published one. Look in again soon.",
            &html! {},
        )
    }
}

fn product_card(product: &ProductCard) -> Markup {
    html! {
        li class="card product" {
            div class="row apart" {
                h2 class="cut" { a href={ "/catalog/" (encode(&product.id)) } { (product.name) } }
                (status_badge(product.status))
            }
            p class="about" { (markdown::summary(&product.description, 180)) }
            div class="row" {
                @if let Some(category) = product.category { (badge(Tone::Plain, category)) }
                @if !product.version.is_empty() { span class="small muted" { "Version " (product.version) } }
            }
            div class="foot" {
                span { (counted(product.operations as u64, "operation", "operations")) }
                @if let Some(price) = &product.from_price { span { (price) } }
            }
        }
    }
}

fn status_badge(status: &'static str) -> Markup {
    match status {
        "beta" => badge(Tone::Info, "beta"),
        "deprecated" => badge(Tone::Warn, "deprecated"),
        _ => html! {},
    }
}

impl Page for ProductPage {
    fn title(&self) -> String {
        self.name.clone()
    }
    fn nav(&self) -> Nav {
        Nav::Catalog
    }
    fn body(&self) -> Markup {
        let actions = html! {
            @if !self.plans.is_empty() { a class="button primary" href="#plans" { "Choose plan" } }
        };
        html! {
            div {
                (head(&[("/catalog", "API catalogue")], &self.name, &html! { (self.facts()) }, &actions))
                div class="stack wide" {
                    @if self.status == "deprecated" {
                        (crate::ui::part::notice(Tone::Warn, &html! { "This API is deprecated: existing keys go on working, but look for its successor before you build on it." }))
                    }
                    section class="stack" aria-label="About" {
                        @if !self.description.trim().is_empty() { div class="prose" { (markdown::render(&self.description)) } }
                        div class="code" {
                            header { span { "Base URL" } (copy_button("base-url")) }
                            pre tabindex="0" { code id="base-url" { (self.base_url) } }
                        }
                    }
                    (self.plan_section())
                    (self.operation_section())
                }
            }
        }
    }
}

impl ProductPage {
    fn facts(&self) -> Markup {
        html! {
            span class="row" {
                (status_badge(self.status))
                @if let Some(category) = self.category { (badge(Tone::Plain, category)) }
                @if !self.version.is_empty() { span { "Version " (self.version) } }
                @if self.sandbox { span { "· sandbox for test keys" } }
                @for tag in self.tags.iter().take(12) { span { "#" (tag) } }
            }
        }
    }

    fn plan_section(&self) -> Markup {
        html! {
            section class="stack" id="plans" aria-labelledby="plans-title" {
                h2 id="plans-title" { "Plans" }
                @if self.keyless {
                    div class="card" { (empty("key", "No key needed", "This API is open: call it without a key and without a plan.", &html! {})) }
                } @else if self.plans.is_empty() {
                    div class="card" { (empty("layers", "No plan is for sale",
                        "Without a plan there is no key for this API yet. Others may be available.",
                        &link_button("/catalog", "", "Back to the catalogue"))) }
                } @else {
                    ul class="cards" { @for plan in &self.plans { li class="card plan" { (plan.card()) } } }
                }
            }
        }
    }

    fn operation_section(&self) -> Markup {
        html! {
            section class="stack" aria-labelledby="operations-title" {
                h2 id="operations-title" { "Operations" }
                @if self.groups.is_empty() {
                    div class="card" { (empty("book", "No operations are documented", "The API's document names none.", &html! {})) }
                }
                @for (group_index, group) in self.groups.iter().enumerate() {
                    div class="card" {
                        header { h3 { (group.tag) } span class="small muted" { (counted(group.operations.len() as u64, "operation", "operations")) } }
                        @for (index, operation) in group.operations.iter().enumerate() {
                            (operation.show(&format!("op-{group_index}-{index}")))
                        }
                    }
                }
                @if self.left_out > 0 {
                    p class="muted" { (counted(self.left_out as u64, "further operation is", "further operations are")) " not shown here; they can be called all the same." }
                }
            }
        }
    }
}

impl OperationView {
    fn show(&self, id: &str) -> Markup {
        html! {
            details class="op" id=(id) {
                summary {
                    (method(&self.method)) span class="path" { (self.path) }
                    @if self.deprecated { (badge(Tone::Warn, "deprecated")) }
                    span class="what" { (self.summary) }
                }
                div class="inside" {
                    @if !self.description.trim().is_empty() { div class="prose" { (markdown::render(&self.description)) } }
                    (self.needs())
                    @if !self.parameters.is_empty() { (self.parameter_table()) }
                    @if let Some((content_type, example)) = &self.body {
                        div { h4 { "Body" } (code(&format!("{id}-body"), content_type, example)) }
                    }
                    div { h4 { "Sample call" } (code(&format!("{id}-curl"), "curl", &self.curl)) }
                    @if !self.responses.is_empty() { (self.response_list(id)) }
                }
            }
        }
    }

    fn needs(&self) -> Markup {
        html! {
            div class="row small" {
                span class="muted" { "Scope" }
                @if self.scopes.is_empty() { span { "none needed" } }
                @for (index, alternative) in self.scopes.iter().enumerate() {
                    @if index > 0 { span class="muted" { "or" } }
                    @for (index, scope) in alternative.iter().enumerate() {
                        @if index > 0 { span class="muted" { "and" } }
                        span class="badge code" { (scope) }
                    }
                }
                @if self.units != 1 { span class="muted" { "· costs " (counted(self.units, "unit", "units")) " a call" } }
            }
        }
    }

    fn parameter_table(&self) -> Markup {
        html! {
            div {
                h4 { "Parameters" }
                div class="scroll" {
                    table class="table dense fold" {
                        thead { tr { th scope="col" { "Name" } th scope="col" { "In" } th scope="col" { "Type" } th scope="col" { "Description" } } }
                        tbody {
                            @for parameter in &self.parameters {
                                tr {
                                    th scope="row" { code class="cut" { (parameter.name) } @if parameter.required { " " span class="badge" { "required" } } }
                                    td data-label="In" { span { (parameter.location) } }
                                    td data-label="Type" { span { (parameter.kind) } }
                                    td {
                                        span class="cut" { (markdown::summary(&parameter.description, 400)) }
                                        @if let Some(example) = &parameter.example { span class="muted cut" { " e.g. " code { (example) } } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn response_list(&self, id: &str) -> Markup {
        html! {
            div class="stack" {
                h4 { "Responses" }
                @for (index, response) in self.responses.iter().enumerate() {
                    div {
                        div class="row" {
                            (badge(status_tone(&response.status), &response.status))
                            span class="muted cut" { (markdown::summary(&response.description, 300)) }
                        }
                        @if let Some(example) = &response.example {
                            details class="more" {
                                summary { "Example" }
                                (code(&format!("{id}-response-{index}"), "Body", example))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn status_tone(status: &str) -> Tone {
    match status.as_bytes().first() {
        Some(b'2') => Tone::Good,
        Some(b'4') => Tone::Warn,
        Some(b'5') => Tone::Bad,
        _ => Tone::Plain,
    }
}
