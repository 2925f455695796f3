//! Small parts that several pages show: badges, notices, empty states, code with a copy button, pagers.

use maud::{Markup, html};

use super::icon::icon;

/// How serious something is; decides the colour, never the only sign of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Warn,
    Bad,
    Info,
    Violet,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Info => "info",
            Self::Violet => "violet",
        }
    }
}

pub fn badge(tone: Tone, text: &str) -> Markup {
    html! { span class={ "badge " (tone.class()) } { (text) } }
}

/// A state: a badge with a dot before it.
pub fn state(tone: Tone, text: &str) -> Markup {
    html! { span class={ "badge dot " (tone.class()) } { (text) } }
}

/// `live` or `test`, told apart by word and colour.
pub fn environment(test: bool) -> Markup {
    if test { badge(Tone::Violet, "test") } else { badge(Tone::Info, "live") }
}

pub fn method(method: &str) -> Markup {
    html! { span class={ "method " (method.to_ascii_lowercase()) } { (method) } }
}

pub fn notice(tone: Tone, body: &Markup) -> Markup {
    let name = match tone {
        Tone::Good => "check",
        Tone::Warn | Tone::Bad => "alert",
        Tone::Plain | Tone::Info | Tone::Violet => "info",
    };
    html! { div class={ "notice " (tone.class()) } { (icon(name)) div { (body) } } }
}

/// Nothing here yet, why, and what to do next.
pub fn empty(icon_name: &str, title: &str, why: &str, next: &Markup) -> Markup {
    html! {
        div class="empty" {
            (icon(icon_name))
            h2 { (title) }
            p { (why) }
            div class="actions" { (next) }
        }
    }
}

pub fn link_button(href: &str, class: &str, text: &str) -> Markup {
    html! { a class={ "button " (class) } href=(href) { (text) } }
}

/// Code with a caption and, where scripts run, a copy button. `id` must be unique on the page.
pub fn code(id: &str, caption: &str, text: &str) -> Markup {
    html! {
        div class="code" {
            header { span { (caption) } (copy_button(id)) }
            pre tabindex="0" { code id=(id) { (text) } }
        }
    }
}

/// Copies the text of the element `id`; hidden until a script can do that.
pub fn copy_button(id: &str) -> Markup {
    html! {
        button class="button plain small" type="button" data-copy=(id) hidden {
            (icon("copy")) span { "Copy" }
        }
    }
}

/// `quota` used: the bar is decoration, the text beside it says the numbers.
pub fn meter(used: u64, limit: u64) -> Markup {
    let share = used.saturating_mul(100).checked_div(limit).unwrap_or(100).min(100);
    let class = match share {
        0..80 => "ok",
        80..100 => "near",
        _ => "over",
    };
    html! {
        svg class="meter" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            rect class=(class) width=(share) height="6" {}
        }
    }
}

/// The way to the next page of a list. `base` already holds the filters, ready for another parameter.
pub fn pager(shown: usize, what: &str, base: &str, next: Option<&str>) -> Markup {
    html! {
        @if let Some(cursor) = next {
            nav class="pager" aria-label="Pages" {
                span { (shown) " " (what) " on this page" }
                a class="button small" href={ (base) "cursor=" (encode(cursor)) } { "Next page" }
            }
        }
    }
}

/// Percent-encodes a value for a query string or a path segment.
pub fn encode(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(char::from(byte));
            }
            other => {
                text.push('%');
                for digit in [other >> 4, other & 15] {
                    text.push(
                        char::from_digit(digit.into(), 16).unwrap_or('0').to_ascii_uppercase(),
                    );
                }
            }
        }
    }
    text
}
