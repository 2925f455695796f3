//! The values that a path has for the placeholders of its template.

use crate::matcher::split_template;
use crate::pointer;

/// Segments with placeholders, by their position.
#[derive(Debug)]
pub(super) struct Template(Vec<Segment>);

#[derive(Debug)]
struct Segment {
    position: usize,
    prefix: Box<str>,
    /// Each placeholder with the text behind it.
    placeholders: Vec<(Box<str>, Box<str>)>,
}

impl Template {
    pub(super) fn parse(path: &str) -> Self {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let segments = split_template(path.strip_prefix('/').unwrap_or(path));
        let segments = segments.enumerate();
        Self(segments.filter_map(|(position, text)| Segment::parse(position, text)).collect())
    }

    /// The decoded value of a placeholder; `None` if the path has none.
    pub(super) fn value(&self, name: &str, path: &str) -> Option<String> {
        let path = path.split('?').next().unwrap_or_default();
        let path = path.strip_prefix('/').unwrap_or(path);
        for segment in &self.0 {
            if segment.placeholders.iter().any(|(known, _)| **known == *name) {
                let text = pointer::percent_decode(path.split('/').nth(segment.position)?)?;
                return segment.value(name, &text);
            }
        }
        None
    }
}

impl Segment {
    fn parse(position: usize, text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix(':').filter(|name| !name.is_empty()) {
            let placeholders = vec![(name.into(), "".into())];
            return Some(Self { position, prefix: "".into(), placeholders });
        }
        let mut parts = text.split('{');
        let prefix = pointer::percent_decode(parts.next()?)?.into();
        let mut placeholders = Vec::new();
        for part in parts {
            let (name, after) = part.split_once('}')?;
            placeholders.push((name.into(), pointer::percent_decode(after)?.into()));
        }
        (!placeholders.is_empty()).then_some(Self { position, prefix, placeholders })
    }

    /// Literals are taken where they occur first, the last one at the end, as the matcher does.
    fn value(&self, name: &str, text: &str) -> Option<String> {
        let mut rest = text.strip_prefix(&*self.prefix)?;
        let last = self.placeholders.len() - 1;
        for (index, (known, after)) in self.placeholders.iter().enumerate() {
            let first = rest.chars().next()?.len_utf8();
            let end = if index == last {
                rest.strip_suffix(&**after)?.len()
            } else {
                first + rest[first..].find(&**after)?
            };
            if **known == *name {
                return Some(rest[..end].to_owned());
            }
            rest = &rest[end + after.len()..];
        }
        None
    }
}
