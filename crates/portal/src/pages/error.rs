//! Errors as pages: what happened in plain words, and a way out.

use maud::{Markup, html};

use crate::ui::part::link_button;
use crate::ui::{Frame, Page};

#[derive(Clone, Debug)]
pub struct ErrorPage {
    pub status: u16,
    pub title: &'static str,
    pub what: &'static str,
    /// The way out: address and text.
    pub ways: Vec<(&'static str, &'static str)>,
    /// For the operator's log; only where the fault is ours.
    pub request_id: Option<String>,
}

impl ErrorPage {
    pub fn not_found() -> Self {
        Self::new(
            404,
            "There is no such page",
            "It may have moved, or it belongs to another organisation.",
        )
    }

    pub fn forbidden() -> Self {
        Self::new(
            403,
            "Your role does not allow this",
            "Ask an owner of your organisation to do it or to change your role.",
        )
    }

    pub fn cross_site() -> Self {
        Self::new(
            403,
            "This form came from another site",
            "Nothing was changed. Open the page here and send it again.",
        )
    }

    pub fn internal() -> Self {
        Self::new(
            500,
            "Something broke on our side",
            "Nothing was changed that this page did not confirm. Please try again.",
        )
    }

    pub fn unavailable() -> Self {
        Self::new(
            503,
            "This part is not available right now",
            "Your keys and calls are not affected. Try again in a moment.",
        )
    }

    pub fn bad_request() -> Self {
        Self::new(
            400,
            "This request could not be read",
            "Go back and try again; nothing was changed.",
        )
    }

    pub fn too_large() -> Self {
        Self::new(
            413,
            "That was too much at once",
            "A form may hold at most 1 MiB. Nothing was changed.",
        )
    }

    pub fn too_slow() -> Self {
        Self::new(
            408,
            "The form did not arrive in time",
            "Nothing was changed. Go back and send it again.",
        )
    }

    fn new(status: u16, title: &'static str, what: &'static str) -> Self {
        let ways = vec![("/", "Go to the dashboard"), ("/catalog", "Browse the catalogue")];
        Self { status, title, what, ways, request_id: None }
    }
}

impl Page for ErrorPage {
    fn title(&self) -> String {
        self.title.into()
    }
    fn frame(&self) -> Frame {
        Frame::Sheet
    }
    fn body(&self) -> Markup {
        html! {
            div class="sheet" {
                p class="muted number" { "Error " (self.status) }
                h1 { (self.title) }
                p class="muted" { (self.what) }
                @if let Some(id) = &self.request_id { p class="small muted" { "Request " code { (id) } } }
                div class="buttons" {
                    @for (index, (href, text)) in self.ways.iter().enumerate() {
                        (link_button(href, if index == 0 { "primary" } else { "" }, text))
                    }
                }
            }
        }
    }
}
