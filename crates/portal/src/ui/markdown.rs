//! Markdown of specs, whose authors are not trusted: rendered, then reduced to a small set of tags.

use std::collections::HashSet;

use maud::{Markup, PreEscaped};
use pulldown_cmark::{Options, Parser, html};

/// A longer text is cut before it is rendered.
pub const MAX_BYTES: usize = 64 * 1024;

const TAGS: [&str; 28] = [
    "a",
    "b",
    "blockquote",
    "br",
    "code",
    "dd",
    "del",
    "dl",
    "dt",
    "em",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "li",
    "ol",
    "p",
    "pre",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
];

/// The text as safe HTML. Links keep `http`, `https` and `mailto` targets; images, styles, classes,
/// ids and scripts are dropped; headings are moved below those of the page.
pub fn render(text: &str) -> Markup {
    let end = text.floor_char_boundary(MAX_BYTES);
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut raw = String::with_capacity(text.len());
    html::push_html(&mut raw, Parser::new_ext(&text[..end], options).map(lower_heading));
    let clean = ammonia::Builder::new()
        .tags(HashSet::from(TAGS))
        .generic_attributes(HashSet::new())
        .tag_attributes([("a", HashSet::from(["href"]))].into())
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(Some("nofollow noopener noreferrer"))
        .clean(&raw);
    PreEscaped(clean.to_string())
}

/// The first words as plain text, for cards.
pub fn summary(text: &str, max_chars: usize) -> String {
    let mut plain = String::new();
    for event in Parser::new(&text[..text.floor_char_boundary(4096)]) {
        match event {
            pulldown_cmark::Event::Text(part) | pulldown_cmark::Event::Code(part) => {
                plain.push_str(&part);
            }
            pulldown_cmark::Event::SoftBreak
            | pulldown_cmark::Event::HardBreak
            | pulldown_cmark::Event::End(_) => plain.push(' '),
            _ => {}
        }
    }
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= max_chars {
        return words;
    }
    words.chars().take(max_chars.saturating_sub(1)).collect::<String>().trim_end().to_owned() + "…"
}

fn lower_heading(event: pulldown_cmark::Event<'_>) -> pulldown_cmark::Event<'_> {
    use pulldown_cmark::{Event, HeadingLevel, Tag, TagEnd};
    let lower = |level: HeadingLevel| match level {
        HeadingLevel::H1 => HeadingLevel::H3,
        HeadingLevel::H2 => HeadingLevel::H4,
        HeadingLevel::H3 => HeadingLevel::H5,
        _ => HeadingLevel::H6,
    };
    match event {
        Event::Start(Tag::Heading { level, .. }) => Event::Start(Tag::Heading {
            level: lower(level),
            id: None,
            classes: Vec::new(),
            attrs: Vec::new(),
        }),
        Event::End(TagEnd::Heading(level)) => Event::End(TagEnd::Heading(lower(level))),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_markdown_loses_its_teeth() {
        let hostile = "<script>alert(1)</script>\n\n<img src=x onerror=alert(1)>\n\n[a](javascript:alert(1))\n\n\
                       <a href='//evil.example' onclick=x style='color:red'>b</a>\n\n<svg onload=x>";
        let clean = render(hostile).into_string();
        for word in ["script", "onerror", "javascript", "onclick", "style", "svg", "img", "evil"] {
            assert!(!clean.contains(word), "{word} in {clean}");
        }
    }

    #[test]
    fn plain_markdown_survives() {
        let clean = render("# Track\n\n*All* of [it](https://example.com).").into_string();
        assert!(clean.contains("<h3>Track</h3>"), "{clean}");
        assert!(clean.contains("href=\"https://example.com\""), "{clean}");
        assert_eq!(summary("# Track\n\nAll of **it** now", 12), "Track All o…");
    }
}
