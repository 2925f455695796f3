//! Schemas compiled into one list, in which they name each other by number.
//!
//! Every schema of the document is compiled once, whoever refers to it, and only if a request can
//! reach it; cycles are numbers that come round. A keyword that cannot be checked makes its schema
//! [`Schema::incomplete`]: it may then find a value wrong but never right for certain, so that
//! `not` and `oneOf` above it do not refuse what they should not.

use std::collections::HashMap;

use regex::Regex;
use serde_json::Value;

use super::format::Format;

pub(super) type SchemaId = u32;

/// A set of JSON types.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    pub(super) const NULL: Self = Self(1);
    pub(super) const BOOLEAN: Self = Self(2);
    pub(super) const INTEGER: Self = Self(4);
    pub(super) const NUMBER: Self = Self(8);
    pub(super) const STRING: Self = Self(16);
    pub(super) const ARRAY: Self = Self(32);
    pub(super) const OBJECT: Self = Self(64);

    const NAMES: [(Self, &'static str); 7] = [
        (Self::NULL, "null"),
        (Self::BOOLEAN, "boolean"),
        (Self::INTEGER, "integer"),
        (Self::NUMBER, "number"),
        (Self::STRING, "string"),
        (Self::ARRAY, "array"),
        (Self::OBJECT, "object"),
    ];

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(types, _)| *types)
    }

    pub(super) fn words(self) -> String {
        let names = Self::NAMES.iter().filter(|(types, _)| self.has(*types)).map(|(_, name)| *name);
        names.collect::<Vec<_>>().join(" or ")
    }
}

/// What one schema asks for; what is absent asks for nothing.
#[derive(Debug, Default)]
pub(super) struct Schema {
    /// Of a schema that is `true` or `false`.
    pub(super) constant: Option<bool>,
    /// Not everything that it asks for is checked.
    pub(super) incomplete: bool,
    pub(super) nullable: bool,
    pub(super) types: Types,
    pub(super) reference: Option<SchemaId>,
    pub(super) one_of_values: Option<Box<[Value]>>,
    pub(super) number: Option<Box<NumberRules>>,
    pub(super) text: Option<Box<TextRules>>,
    pub(super) list: Option<Box<ListRules>>,
    pub(super) map: Option<Box<MapRules>>,
    pub(super) parts: Option<Box<Parts>>,
}

#[derive(Debug, Default)]
pub(super) struct NumberRules {
    pub(super) minimum: Option<serde_json::Number>,
    pub(super) maximum: Option<serde_json::Number>,
    pub(super) above: Option<serde_json::Number>,
    pub(super) below: Option<serde_json::Number>,
    pub(super) multiple_of: Option<serde_json::Number>,
}

#[derive(Debug, Default)]
pub(super) struct TextRules {
    pub(super) min_chars: u64,
    pub(super) max_chars: Option<u64>,
    pub(super) pattern: Option<Regex>,
    pub(super) format: Option<Format>,
}

#[derive(Debug, Default)]
pub(super) struct ListRules {
    pub(super) min_items: u64,
    pub(super) max_items: Option<u64>,
    pub(super) unique: bool,
    pub(super) first: Box<[SchemaId]>,
    pub(super) items: Option<SchemaId>,
    pub(super) contains: Option<SchemaId>,
    pub(super) min_contains: u64,
    pub(super) max_contains: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct MapRules {
    pub(super) min_members: u64,
    pub(super) max_members: Option<u64>,
    pub(super) required: Box<[Box<str>]>,
    pub(super) members: HashMap<Box<str>, Member>,
    pub(super) patterns: Box<[(Regex, SchemaId)]>,
    /// `additionalProperties`; absent while a pattern beside it cannot be checked.
    pub(super) others: Option<SchemaId>,
    pub(super) names: Option<SchemaId>,
    pub(super) dependent: Box<[Dependent]>,
    /// If the member is there, the whole must fit.
    pub(super) dependent_schemas: Box<[(Box<str>, SchemaId)]>,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) schema: SchemaId,
    /// Only the server writes it: it need not be sent, and if it is, nobody looks at it.
    pub(super) read_only: bool,
}

#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) all_of: Box<[SchemaId]>,
    pub(super) any_of: Box<[SchemaId]>,
    pub(super) one_of: Box<[SchemaId]>,
    pub(super) not: Option<SchemaId>,
    pub(super) condition: Option<(SchemaId, Option<SchemaId>, Option<SchemaId>)>,
    pub(super) discriminator: Option<Discriminator>,
}

/// If the member is there, the others must be.
#[derive(Debug)]
pub(super) struct Dependent {
    pub(super) name: Box<str>,
    pub(super) needed: Box<[Box<str>]>,
}

/// The member that names the alternative, and where each name leads.
#[derive(Debug)]
pub(super) struct Discriminator {
    pub(super) name: Box<str>,
    pub(super) leads: HashMap<Box<str>, SchemaId>,
}
