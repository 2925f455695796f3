//! The frame around every page: head, skip link, navigation, theme switch.

use maud::{DOCTYPE, Markup, html};

use super::icon::{icon, mark};
use super::part;
use crate::assets;

/// What the visitor chose; `System` follows the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::System, Self::Light, Self::Dark].into_iter().find(|theme| theme.as_str() == text)
    }

    fn attribute(self) -> Option<&'static str> {
        (self != Self::System).then(|| self.as_str())
    }
}

/// The entry of the navigation a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nav {
    None,
    Dashboard,
    Catalog,
    Subscriptions,
    Keys,
    Usage,
    Invoices,
    Staff,
    StaffProducts,
    StaffPartners,
    StaffKeys,
}

/// Around which frame a page stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The navigation for whoever is signed in, a slim header for others.
    App,
    /// One small sheet in the middle: signing in, errors.
    Sheet,
}

/// A page: exactly what it shows, and where it belongs.
pub trait Page {
    fn title(&self) -> String;
    fn nav(&self) -> Nav {
        Nav::None
    }
    fn frame(&self) -> Frame {
        Frame::App
    }
    fn body(&self) -> Markup;
}

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    pub email: String,
    /// Partners the user belongs to: id, name, whether it is the current one.
    pub partners: Vec<(String, String, bool)>,
    pub staff: bool,
}

/// What the frame shows beside the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shell {
    pub viewer: Option<Viewer>,
    pub theme: Theme,
    /// Path and query of this page, to come back to after switching theme or partner.
    pub here: String,
}

impl Shell {
    pub fn render(&self, page: &impl Page) -> Markup {
        let title = page.title();
        html! {
            (DOCTYPE)
            html lang="en" data-theme=[self.theme.attribute()] {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (title) " · Keytoll" }
                    link rel="stylesheet" href=(assets::url("portal.css"));
                    link rel="icon" type="image/svg+xml" href=(assets::url("icon.svg"));
                    @for module in ["copy.js", "dialog.js", "live.js", "theme.js"] {
                        script type="module" src=(assets::url(module)) {}
                    }
                }
                body {
                    a class="skip" href="#main" { "Skip to content" }
                    @match (&self.viewer, page.frame()) {
                        (Some(viewer), Frame::App) => (self.app(viewer, page)),
                        (_, frame) => (self.bare(frame, page)),
                    }
                }
            }
        }
    }

    fn app(&self, viewer: &Viewer, page: &impl Page) -> Markup {
        let nav = page.nav();
        html! {
            div class="shell" {
                aside class="side" {
                    (brand())
                    nav class="nav" aria-label="Main" { (links(viewer, nav)) }
                    (self.person(viewer))
                }
                header class="top" {
                    div class="bar" {
                        (brand())
                        details {
                            summary { (icon("menu")) "Menu" }
                            div class="menu" {
                                nav class="nav" aria-label="Main" { (links(viewer, nav)) }
                                (self.person(viewer))
                            }
                        }
                    }
                }
                main class="content" id="main" tabindex="-1" { (page.body()) }
            }
        }
    }

    fn bare(&self, frame: Frame, page: &impl Page) -> Markup {
        let reading = if frame == Frame::App { "bare reading" } else { "bare" };
        html! {
            div class=(reading) {
                header {
                    (brand())
                    nav aria-label="Main" {
                        a href="/catalog" { "API catalogue" }
                        @if self.viewer.is_some() {
                            a class="button small" href="/" { "Dashboard" }
                        } @else {
                            a href="/login" { "Log in" }
                            a class="button primary small" href="/signup" { "Sign up" }
                        }
                    }
                }
                main id="main" tabindex="-1" { (page.body()) }
                footer { span { "Keys, limits and bills for APIs." } (self.theme_switch()) }
            }
        }
    }

    fn person(&self, viewer: &Viewer) -> Markup {
        let current = viewer.partners.iter().find(|(_, _, current)| *current);
        html! {
            div class="person" {
                div {
                    @if viewer.partners.len() > 1 { (self.partner_switch(viewer)) }
                    @else if let Some((_, name, _)) = current { div class="name cut" { (name) } }
                    @else if viewer.staff { div class="name" { "Staff" } }
                    div class="small muted cut" { (viewer.email) }
                }
                div class="row apart" {
                    (self.theme_switch())
                    form method="post" action="/logout" {
                        button class="button plain small" type="submit" { (icon("out")) "Log out" }
                    }
                }
            }
        }
    }

    fn partner_switch(&self, viewer: &Viewer) -> Markup {
        html! {
            form class="row" method="post" action="/partner" {
                input type="hidden" name="here" value=(self.here);
                                select class="input" name="partner" aria-label="Partner" {
                    @for (id, name, current) in &viewer.partners {
                        option value=(id) selected[*current] { (name) }
                    }
                }
                button class="button small" type="submit" { "Switch" }
            }
        }
    }

    fn theme_switch(&self) -> Markup {
        let options = [
            (Theme::System, "screen", "As the device"),
            (Theme::Light, "sun", "Light"),
            (Theme::Dark, "moon", "Dark"),
        ];
        html! {
            form class="theme" method="post" action="/theme" role="group" aria-label="Colours" {
                input type="hidden" name="here" value=(self.here);
                @for (theme, name, label) in options {
                    button type="submit" name="theme" value=(theme.as_str()) aria-label=(label) title=(label)
                        aria-pressed=(if theme == self.theme { "true" } else { "false" }) { (icon(name)) }
                }
            }
        }
    }
}

fn brand() -> Markup {
    html! { a class="brand" href="/" { (mark()) "Keytoll" } }
}

fn links(viewer: &Viewer, here: Nav) -> Markup {
    let partner = [
        (Nav::Dashboard, "/", "home", "Dashboard"),
        (Nav::Catalog, "/catalog", "book", "API catalogue"),
        (Nav::Subscriptions, "/subscriptions", "layers", "Subscriptions"),
        (Nav::Keys, "/keys", "key", "API keys"),
        (Nav::Usage, "/usage", "chart", "Usage"),
        (Nav::Invoices, "/invoices", "invoice", "Invoices"),
    ];
    let staff = [
        (Nav::Staff, "/staff", "gauge", "Overview"),
        (Nav::StaffProducts, "/staff/products", "box", "Products"),
        (Nav::StaffPartners, "/staff/partners", "people", "Partners"),
        (Nav::StaffKeys, "/staff/keys", "key", "All keys"),
    ];
    html! {
        @if !viewer.partners.is_empty() { (link_list(None, &partner, here)) }
        @else { (link_list(None, &partner[1..2], here)) }
        @if viewer.staff { (link_list(Some("Staff"), &staff, here)) }
    }
}

fn link_list(title: Option<&str>, entries: &[(Nav, &str, &str, &str)], here: Nav) -> Markup {
    html! {
        div {
            @if let Some(title) = title { h2 { (title) } }
            ul {
                @for (nav, href, name, text) in entries {
                    li { a href=(href) aria-current=[(*nav == here).then_some("page")] { (icon(name)) (text) } }
                }
            }
        }
    }
}

/// The top of a page inside the frame: where it hangs, its title, what it is, what one can do.
pub fn head(trail: &[(&str, &str)], title: &str, about: &Markup, actions: &Markup) -> Markup {
    html! {
        header class="head" {
            div {
                @if !trail.is_empty() {
                    nav class="trail" aria-label="You are in" {
                        @for (href, text) in trail { a href=(href) { (text) } span aria-hidden="true" { "/" } }
                    }
                }
                h1 class="cut" { (title) }
                @if !about.0.is_empty() { p { (about) } }
            }
            @if !actions.0.is_empty() { div class="actions" { (actions) } }
        }
    }
}

/// A title without anything beside it.
pub fn plain_head(title: &str, about: &str) -> Markup {
    head(&[], title, &html! { (about) }, &html! {})
}

/// The main action of a page.
pub fn primary(href: &str, text: &str) -> Markup {
    part::link_button(href, "primary", text)
}
