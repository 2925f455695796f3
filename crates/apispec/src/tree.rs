//! A document and the files it refers to, as parsed values that are never inlined.
//!
//! After [`Tree::build`] every `$ref` is canonical: `#/…` for the document itself and
//! `folder/file.yaml#/…` for another file, relative to the root folder. A reference therefore means
//! the same wherever its value is copied to, and cycles cost nothing until someone walks them.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::Loader;
use crate::limits::{MAX_FILE_NAME_BYTES, MAX_FILES, MAX_REF_CHAIN, MAX_TOTAL_BYTES};
use crate::model::Notes;
use crate::parse;
use crate::pointer;

/// The parsed document with its external files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tree {
    root: Value,
    files: HashMap<String, Value>,
}

impl Tree {
    /// The document itself.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// The value that a canonical reference names, such as `#/components/schemas/Pet`.
    pub fn resolve(&self, reference: &str) -> Option<&Value> {
        let (file, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let root = if file.is_empty() { &self.root } else { self.files.get(file)? };
        pointer::find(root, fragment)
    }

    /// Follows `$ref` until a value without one; `None` if it leads nowhere or in a circle.
    pub fn deref<'t>(&'t self, value: &'t Value) -> Option<&'t Value> {
        self.follow(value).map(|(value, _)| value)
    }

    /// Like [`Tree::deref`], with the last reference that was followed.
    pub(crate) fn follow<'t>(&'t self, value: &'t Value) -> Option<(&'t Value, Option<&'t str>)> {
        let mut current = value;
        let mut last = None;
        for _ in 0..MAX_REF_CHAIN {
            let Some(reference) = reference_of(current) else { return Some((current, last)) };
            last = Some(reference);
            current = self.resolve(reference)?;
        }
        None
    }

    pub(crate) fn build(
        name: &str,
        root: Value,
        root_bytes: usize,
        loader: Option<&Loader<'_>>,
        notes: &mut Notes,
    ) -> Self {
        let mut builder = Builder {
            name,
            loader,
            total_bytes: root_bytes,
            waiting: Vec::new(),
            seen: HashSet::new(),
            references: Vec::new(),
            notes,
        };
        let mut tree = Self { root, files: HashMap::new() };
        let short_names =
            if tree.root.get("swagger").is_some() { "definitions" } else { "components/schemas" };
        builder.canonicalise(&mut tree.root, name, Some(short_names));
        while let Some((file, pointer)) = builder.waiting.pop() {
            if let Some(mut value) = builder.fetch(&file, &pointer) {
                builder.canonicalise(&mut value, &file, None);
                tree.files.insert(file, value);
            }
        }
        let references = std::mem::take(&mut builder.references);
        report_dangling(&tree, references, notes);
        tree
    }
}

/// The text of a value's `$ref`, if it is a reference.
pub(crate) fn reference_of(value: &Value) -> Option<&str> {
    value.as_object()?.get("$ref")?.as_str()
}

/// Where a reference stands and what it names.
struct Found {
    pointer: String,
    reference: String,
}

struct Builder<'a> {
    name: &'a str,
    loader: Option<&'a Loader<'a>>,
    total_bytes: usize,
    waiting: Vec<(String, String)>,
    /// Files asked for, loaded or not.
    seen: HashSet<String>,
    references: Vec<Found>,
    notes: &'a mut Notes,
}

/// How the members of a map are to be read.
#[derive(Clone, Copy, PartialEq)]
enum Members {
    /// Keywords of the specification; samples among them are data, not references.
    Keywords,
    /// Names that the author chose; `$ref` or `example` may be one of them.
    Names,
}

/// Maps whose member names are the author's.
const NAME_MAPS: &[&str] = &[
    "properties",
    "patternProperties",
    "definitions",
    "$defs",
    "dependentSchemas",
    "schemas",
    "responses",
    "parameters",
    "headers",
    "callbacks",
    "links",
    "requestBodies",
    "pathItems",
    "securitySchemes",
    "webhooks",
    "content",
    "mapping",
    "scopes",
    "variables",
    "encoding",
];
/// Members whose values are data: a `$ref` in there is none.
const DATA: &[&str] = &["example", "enum", "const", "default", "value", "mapping", "scopes"];

impl Builder<'_> {
    fn canonicalise(&mut self, value: &mut Value, file: &str, short_names: Option<&'static str>) {
        let mut place = if file == self.name { String::new() } else { format!("{file}#") };
        let mut walk = Walk { file, short_names, place: &mut place };
        self.walk(value, Members::Keywords, &mut walk);
    }

    fn walk(&mut self, value: &mut Value, members: Members, at: &mut Walk<'_>) {
        let here = at.place.len();
        match value {
            Value::Array(list) => {
                for (index, item) in list.iter_mut().enumerate() {
                    pointer::push(at.place, &index.to_string());
                    self.walk(item, Members::Keywords, at);
                    at.place.truncate(here);
                }
            }
            Value::Object(map) => {
                for (name, item) in map.iter_mut() {
                    let keyword = members == Members::Keywords;
                    if keyword && (DATA.contains(&name.as_str()) || name.starts_with("x-")) {
                        continue;
                    }
                    pointer::push(at.place, name);
                    if keyword && name == "$ref" {
                        self.reference(item, at);
                    } else {
                        let named = keyword && NAME_MAPS.contains(&name.as_str());
                        let inner = if named { Members::Names } else { Members::Keywords };
                        self.walk(item, inner, at);
                    }
                    at.place.truncate(here);
                }
            }
            _ => {}
        }
    }

    fn reference(&mut self, value: &mut Value, at: &Walk<'_>) {
        let Value::String(text) = value else {
            self.notes.add(at.place, "a $ref must be a text");
            return;
        };
        match self.canonical(text, at) {
            Ok(canonical) => {
                if *text != canonical {
                    text.clone_from(&canonical);
                }
                self.references
                    .push(Found { pointer: pointer::clip(at.place), reference: canonical });
            }
            Err(message) => self.notes.add(at.place, &format!("{text}: {message}")),
        }
    }

    fn canonical(&mut self, text: &str, at: &Walk<'_>) -> Result<String, &'static str> {
        let (file, fragment) = text.split_once('#').unwrap_or((text, ""));
        if file.is_empty() {
            return Ok(self.written(at.file, fragment));
        }
        if let Some(folder) = at.short_names
            && !file.contains(['/', '.', ':'])
            && !text.contains('#')
        {
            return Ok(format!("#/{folder}/{file}"));
        }
        let file = normalise(at.file, file)?;
        if file != self.name && self.seen.insert(file.clone()) {
            self.waiting.push((file.clone(), pointer::clip(at.place)));
        }
        Ok(self.written(&file, fragment))
    }

    fn written(&self, file: &str, fragment: &str) -> String {
        if file == self.name { format!("#{fragment}") } else { format!("{file}#{fragment}") }
    }

    fn fetch(&mut self, file: &str, pointer: &str) -> Option<Value> {
        match self.try_fetch(file) {
            Ok(value) => Some(value),
            Err(message) => {
                self.notes.add(pointer, &format!("{file} was not loaded: {message}"));
                None
            }
        }
    }

    fn try_fetch(&mut self, file: &str) -> Result<Value, String> {
        let loader = self.loader.ok_or("the document was loaded without access to other files")?;
        if self.seen.len() > MAX_FILES {
            return Err(format!("more than {MAX_FILES} files"));
        }
        let bytes = loader(file)?;
        self.total_bytes = self.total_bytes.saturating_add(bytes.len());
        if self.total_bytes > MAX_TOTAL_BYTES {
            return Err(format!("all files together have more than {MAX_TOTAL_BYTES} bytes"));
        }
        let parsed =
            parse::parse(&bytes).map_err(|error| format!("{error} ({})", error.place()))?;
        Ok(parsed.value)
    }
}

struct Walk<'a> {
    file: &'a str,
    /// Some documents write `$ref: Pet`; the folder that such a name is looked up in.
    short_names: Option<&'static str>,
    place: &'a mut String,
}

/// The path of a referenced file below the root folder.
fn normalise(from: &str, relative: &str) -> Result<String, &'static str> {
    if relative.contains("://") || relative.starts_with("urn:") {
        return Err("references to other hosts are not followed");
    }
    let decoded = pointer::percent_decode(relative).ok_or("the file name is not UTF-8")?;
    let forbidden = decoded.starts_with('/') || decoded.contains(['\\', '\0', ':', '?']);
    if forbidden || decoded.len() > MAX_FILE_NAME_BYTES {
        return Err("not a relative file name");
    }
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in decoded.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or("references may not leave the root folder")?;
            }
            name => parts.push(name),
        }
    }
    let normal = parts.join("/");
    if normal.is_empty() || normal.len() > MAX_FILE_NAME_BYTES {
        return Err("not a relative file name");
    }
    Ok(normal)
}

fn report_dangling(tree: &Tree, references: Vec<Found>, notes: &mut Notes) {
    let mut known: HashMap<String, bool> = HashMap::new();
    for Found { pointer, reference } in references {
        let found = match known.get(&reference) {
            Some(found) => *found,
            None => tree.resolve(&reference).is_some(),
        };
        if !found {
            notes.add(&pointer, &format!("{reference} leads nowhere"));
        }
        known.insert(reference, found);
    }
}
