//! `pattern`: regular expressions of ECMA-262, run by an engine that takes linear time.
//!
//! What that engine cannot do (looking around, referring back) is not compiled; the caller then does
//! not check it.

use regex::{Regex, RegexBuilder};

use crate::limits::{MAX_COMPILED_PATTERN_BYTES, MAX_PATTERN_BYTES};

pub(super) fn compile(text: &str) -> Option<Regex> {
    if text.len() > MAX_PATTERN_BYTES {
        return None;
    }
    RegexBuilder::new(&translate(text))
        .size_limit(MAX_COMPILED_PATTERN_BYTES)
        .dfa_size_limit(MAX_COMPILED_PATTERN_BYTES)
        .build()
        .ok()
}

/// `\d` and `\w` mean ASCII there, and `[`, `&` and `~` mean themselves within brackets.
fn translate(text: &str) -> String {
    let mut translated = String::with_capacity(text.len() + 16);
    let mut in_class = false;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('d') => translated.push_str("[0-9]"),
                Some('D') => translated.push_str("[^0-9]"),
                Some('w') => translated.push_str("[0-9A-Za-z_]"),
                Some('W') => translated.push_str("[^0-9A-Za-z_]"),
                Some('/') => translated.push('/'),
                Some(other) => {
                    translated.push('\\');
                    translated.push(other);
                }
                None => translated.push('\\'),
            },
            '[' if in_class => translated.push_str("\\["),
            '&' | '~' if in_class => {
                translated.push('\\');
                translated.push(character);
            }
            _ => {
                match character {
                    '[' => in_class = true,
                    ']' => in_class = false,
                    _ => {}
                }
                translated.push(character);
            }
        }
    }
    translated
}
