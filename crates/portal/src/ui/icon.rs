//! The portal's own line icons: 16 units square, 1.5 wide strokes, always beside a text.

use maud::{Markup, PreEscaped, html};

/// Draws the named icon; it is decoration, so assistive technology skips it.
pub fn icon(name: &str) -> Markup {
    html! {
        svg class="icon" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5"
            stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false" {
            (PreEscaped(paths(name)))
        }
    }
}

/// The mark beside the name: a K as a road with a barrier.
pub fn mark() -> Markup {
    html! {
        svg viewBox="0 0 24 24" aria-hidden="true" focusable="false" {
            (PreEscaped(concat!(
                r##"<rect width="24" height="24" rx="6" fill="#0b6b57"/>"##,
                r##"<path d="M7 5.5v13M7 12h3.2l6.3-6.5M10.2 12l6.3 6.5" fill="none" stroke="#fff" "##,
                r##"stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round"/>"##,
            )))
        }
    }
}

fn paths(name: &str) -> &'static str {
    match name {
        "home" => r#"<path d="M2.5 7 8 2.5 13.5 7v6.5h-4V10h-3v3.5h-4z"/>"#,
        "book" => {
            r#"<path d="M8 4c-1.2-.9-2.8-1.2-5.5-1.2v9.4c2.7 0 4.3.3 5.5 1.2 1.2-.9 2.8-1.2 5.5-1.200V2.800C10.8 2.8 9.2 3.1 8 4zM8 4v9.4"/>"#
        }
        "key" => {
            r#"<circle cx="5.2" cy="10.8" r="2.7"/><path d="m7.2 8.8 6.3-6.300M11 5l2 2M9.3 6.700l1.2 1.2"/>"#
        }
        "chart" => r#"<path d="M2.5 13.500h11M4.5 11V8M8 11V3.500M11.5 11V6"/>"#,
        "invoice" => {
            r#"<path d="M3.5 2h9v12l-2.2-1.400L8 14l-2.3-1.400L3.5 14zM6 5.500h4M6 8.500h4"/>"#
        }
        "layers" => r#"<path d="m8 2 6 3-6 3-6-3zM2 8l6 3 6-3M2 11l6 3 6-3"/>"#,
        "people" => {
            r#"<circle cx="6" cy="5.5" r="2.3"/><path d="M1.8 13.200c.3-2.5 2-3.7 4.2-3.700s3.9 1.2 4.2 3.700M10.5 3.500a2.2 2.2 0 0 1 0 4.100M11.8 9.800c1.4.5 2.2 1.6 2.4 3.4"/>"#
        }
        "gauge" => {
            r#"<path d="M2.3 12.500a6.2 6.2 0 1 1 11.4 0M8 10l2.7-3.2"/><circle cx="8" cy="10.2" r=".8"/>"#
        }
        "plus" => r#"<path d="M8 3v10M3 8h10"/>"#,
        "copy" => {
            r#"<rect x="5.5" y="5.5" width="8" height="8" rx="1.5"/><path d="M10.5 5.500V4A1.5 1.5 0 0 0 9 2.500H4A1.5 1.5 0 0 0 2.5 4v5A1.5 1.5 0 0 0 4 10.500h1.5"/>"#
        }
        "check" => r#"<path d="m3 8.5 3.3 3.300L13 4.8"/>"#,
        "alert" => r#"<path d="M8 2 14.5 13.500h-13zM8 6.500v3.200M8 11.700v.1"/>"#,
        "info" => r#"<circle cx="8" cy="8" r="6"/><path d="M8 7.300v3.700M8 5v.1"/>"#,
        "search" => r#"<circle cx="7" cy="7" r="4.5"/><path d="m10.5 10.5 3 3"/>"#,
        "menu" => r#"<path d="M2.5 4.500h11M2.5 8h11M2.5 11.500h11"/>"#,
        "sun" => {
            r#"<circle cx="8" cy="8" r="2.8"/><path d="M8 1.500V3M8 13v1.500M1.5 8H3M13 8h1.500M3.4 3.400l1.1 1.100M11.5 11.500l1.1 1.100M3.4 12.600l1.1-1.100M11.5 4.500l1.1-1.1"/>"#
        }
        "moon" => r#"<path d="M13.5 9.500A6 6 0 0 1 6.5 2.500a6 6 0 1 0 7 7z"/>"#,
        "screen" => {
            r#"<rect x="1.8" y="2.8" width="12.4" height="8.4" rx="1.2"/><path d="M5.5 13.700h5"/>"#
        }
        "roll" => {
            r#"<path d="M13.3 6.500A5.5 5.5 0 0 0 3.2 5.300M2.7 2.500v3h3M2.7 9.500a5.5 5.5 0 0 0 10.1 1.200M13.3 13.500v-3h-3"/>"#
        }
        "trash" => {
            r#"<path d="M2.5 4h11M6 4V2.500h4V4M4 4l.6 9.500h6.800L12 4M6.7 7v3.700M9.3 7v3.7"/>"#
        }
        "out" => r#"<path d="M6.5 2.500h-4v11h4M6 8h8M11 5l3 3-3 3"/>"#,
        "box" => {
            r#"<path d="m8 1.8 5.7 3v6.400L8 14.200l-5.7-3V4.800zM2.3 4.8 8 8l5.7-3.200M8 8v6.2"/>"#
        }
        _ => "",
    }
}
