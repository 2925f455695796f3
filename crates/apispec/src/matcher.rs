//! Method and path of a request → the operation of a document, on the gateway's hot path.
//!
//! A trie over path segments whose literal edges lie in one hash table: a lookup costs one probe
//! per segment, whatever the number of operations, and allocates nothing.
//!
//! Rules:
//! - A literal segment beats one with literal parts (`{id}.json`), which beats a plain parameter;
//!   the earliest segment decides. If the best path lacks the method, the next best that has it is
//!   taken; only when none has it is the method wrong.
//! - Literals compare percent-decoded. An encoded slash never separates segments. A query or
//!   fragment in a template or a path is ignored.
//! - `/pets` and `/pets/` are two paths where the document has both; where it has only one, that
//!   one serves both.
//! - A parameter never matches an empty segment nor `.` or `..` in any encoding, so paths that an
//!   upstream would rewrite match only what is written out literally.
//! - HEAD is answered by GET where the document has no HEAD.
//! - A whole segment `:name` is a parameter, as some documents write it.

mod segment;
mod table;

pub(crate) use segment::split_template;
use segment::{Pattern, SegmentKind};
use table::EdgeTable;

use crate::limits::MAX_TEMPLATE_SEGMENTS;

/// What a lookup found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match<'m> {
    /// The position of the operation in the list that the matcher was made from.
    Found(usize),
    /// The path exists, but not with this method; the value is fit for an `Allow` header.
    WrongMethod(&'m str),
    NoPath,
}

/// An operation that can never be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// Its position in the list.
    pub index: usize,
    /// The earlier operation that takes its requests; `None` if its path is too long.
    pub first: Option<usize>,
}

/// A compiled list of operations.
#[derive(Debug, Clone)]
pub struct OperationMatcher {
    nodes: Vec<Node>,
    literals: EdgeTable,
    conflicts: Vec<Conflict>,
}

const ROOT: u32 = 0;

#[derive(Debug, Clone, Default)]
struct Node {
    /// Segments with literal parts, the most specific first.
    patterns: Vec<(Pattern, u32)>,
    /// Where a plain parameter leads.
    parameter: Option<u32>,
    /// The operations that end here.
    methods: Vec<(Box<str>, usize)>,
    allow: Box<str>,
}

impl OperationMatcher {
    /// Compiles `(method, template)` pairs; of two that match the same, the first is kept.
    pub fn new<'o>(operations: impl IntoIterator<Item = (&'o str, &'o str)>) -> Self {
        let mut matcher = Self {
            nodes: vec![Node::default()],
            literals: EdgeTable::default(),
            conflicts: Vec::new(),
        };
        for (index, (method, template)) in operations.into_iter().enumerate() {
            if let Err(first) = matcher.add(index, method, template) {
                matcher.conflicts.push(Conflict { index, first });
            }
        }
        for node in &mut matcher.nodes {
            node.patterns.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.literal_bytes()));
            node.allow = allow_list(&node.methods);
        }
        matcher
    }

    /// Operations that are hidden by an earlier one or have too many segments.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    /// Finds the operation for a request; `path` begins with a slash and is still encoded.
    pub fn match_path(&self, method: &str, path: &str) -> Match<'_> {
        let path = without_query(path);
        let path = path.strip_prefix('/').unwrap_or(path);
        let mut search = Search { matcher: self, method, wrong: None };
        match search.descend(ROOT, Some(path)) {
            Some(index) => Match::Found(index),
            None => search.wrong.map_or(Match::NoPath, Match::WrongMethod),
        }
    }

    fn add(&mut self, index: usize, method: &str, template: &str) -> Result<(), Option<usize>> {
        let path = without_query(template);
        let path = path.strip_prefix('/').unwrap_or(path);
        if path.split('/').count() > MAX_TEMPLATE_SEGMENTS {
            return Err(None);
        }
        let mut node = ROOT;
        for segment in split_template(path) {
            node = self.child(node, segment);
        }
        let methods = &mut self.nodes[node as usize].methods;
        if let Some((_, first)) = methods.iter().find(|(known, _)| **known == *method) {
            return Err(Some(*first));
        }
        methods.push((method.into(), index));
        Ok(())
    }

    fn child(&mut self, node: u32, segment: &str) -> u32 {
        let next = u32::try_from(self.nodes.len()).expect("fewer nodes than bytes of templates");
        let from = &mut self.nodes[node as usize];
        let child = match segment::parse(segment) {
            SegmentKind::Literal(literal) => self.literals.get_or_insert(node, &literal, next),
            SegmentKind::Parameter => *from.parameter.get_or_insert(next),
            SegmentKind::Pattern(pattern) => {
                let known = from.patterns.iter().find(|(known, _)| *known == pattern);
                let known = known.map(|(_, child)| *child);
                if known.is_none() {
                    from.patterns.push((pattern, next));
                }
                known.unwrap_or(next)
            }
        };
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }
}

struct Search<'m, 'r> {
    matcher: &'m OperationMatcher,
    method: &'r str,
    /// The methods of the best path that lacks the one asked for.
    wrong: Option<&'m str>,
}

impl Search<'_, '_> {
    /// Tries what is below a node, best first. The depth is that of the trie, not of the request.
    fn descend(&mut self, at: u32, rest: Option<&str>) -> Option<usize> {
        let Some(rest) = rest else { return self.end(at) };
        let (segment, rest) = match rest.split_once('/') {
            Some((segment, rest)) => (segment.as_bytes(), Some(rest)),
            None => (rest.as_bytes(), None),
        };
        let literal = self.matcher.literals.get(at, segment);
        if let Some(found) = literal.and_then(|child| self.descend(child, rest)) {
            return Some(found);
        }
        if segment.is_empty() && rest.is_none() && at != ROOT {
            let has_both = literal.is_some_and(|child| self.serves(child));
            return if has_both { None } else { self.method_at(at) };
        }
        if segment::is_empty_or_dots(segment) {
            return None;
        }
        let matcher = self.matcher;
        let node = &matcher.nodes[at as usize];
        for (pattern, child) in &node.patterns {
            if pattern.matches(segment)
                && let Some(found) = self.descend(*child, rest)
            {
                return Some(found);
            }
        }
        self.descend(node.parameter?, rest)
    }

    /// The path ends at this node, or at the same path with a slash behind it.
    fn end(&mut self, at: u32) -> Option<usize> {
        if let Some(found) = self.method_at(at) {
            return Some(found);
        }
        if self.serves(at) {
            return None;
        }
        let slashed = self.matcher.literals.get(at, b"")?;
        self.method_at(slashed)
    }

    fn serves(&self, at: u32) -> bool {
        !self.matcher.nodes[at as usize].methods.is_empty()
    }

    fn method_at(&mut self, at: u32) -> Option<usize> {
        let node = &self.matcher.nodes[at as usize];
        let find = |method: &str| {
            node.methods.iter().find(|(known, _)| **known == *method).map(|(_, index)| *index)
        };
        let found = find(self.method).or_else(|| match self.method {
            "HEAD" => find("GET"),
            _ => None,
        });
        if found.is_none() && !node.methods.is_empty() {
            self.wrong.get_or_insert(&node.allow);
        }
        found
    }
}

fn without_query(path: &str) -> &str {
    path.split(['?', '#']).next().unwrap_or_default()
}

/// `GET, HEAD, POST`: HEAD stands behind GET where the document has none.
fn allow_list(methods: &[(Box<str>, usize)]) -> Box<str> {
    let has_head = methods.iter().any(|(method, _)| **method == *"HEAD");
    let mut names: Vec<&str> = Vec::new();
    for (method, _) in methods {
        names.push(method);
        if **method == *"GET" && !has_head {
            names.push("HEAD");
        }
    }
    names.join(", ").into()
}

#[cfg(test)]
mod tests;
