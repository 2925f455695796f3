//! Queries and ids in paths: the same rules as for bodies, with `?name` as the place of a mistake.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use keytoll_control::fault::Fault;
use keytoll_control::page::PageRequest;

use super::body::from_str;
use super::problem::Problem;

/// Rows of a page; the use cases' own bound leaves room for the row that tells whether another page follows.
const LIMIT_MAX: u32 = 500;

/// The parameters of a query; unknown ones are ignored, of doubled ones the last holds.
#[derive(Debug)]
pub(super) struct Params {
    pairs: Vec<(String, String)>,
    faults: Vec<Fault>,
}

/// The `{id}` of a path. What cannot be decoded names nothing, as an empty id does.
#[derive(Debug)]
pub(super) struct PathId(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(id.map(|Path(id)| id).unwrap_or_default()))
    }
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = axum::extract::Query::try_from_uri(&parts.uri)
            .map_err(|_| Problem::malformed("The query cannot be read."))?;
        Ok(Self { pairs: pairs.0, faults: Vec::new() })
    }
}

impl Params {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().rfind(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(self.text(name)?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.faults.push(Fault::new(format!("?{name}"), message));
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(super) fn count(&mut self, name: &str, min: u32, max: u32) -> Option<u32> {
        let bounds = || format!("`{name}` must be a whole number from {min} to {max}");
        self.parsed(name, |text| {
            text.parse().ok().filter(|count| (min..=max).contains(count)).ok_or_else(bounds)
        })
    }

    /// `limit` and `cursor`, as every list takes them.
    pub(super) fn page<Id: FromStr>(&mut self) -> PageRequest<Id> {
        let limit = self.count("limit", 1, LIMIT_MAX);
        let cursor = self.parsed("cursor", |text| {
            text.parse().map_err(|_| "`cursor` is not one that a list has given".to_owned())
        });
        PageRequest { cursor, limit: limit.unwrap_or(PageRequest::<Id>::LIMIT_DEFAULT) }
    }

    pub(super) fn id<T: FromStr<Err: std::fmt::Display>>(&mut self, name: &str) -> Option<T> {
        self.parsed(name, from_str)
    }

    /// To be called after the last parameter has been read.
    pub(super) fn done(self) -> Result<(), Problem> {
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::unacceptable(self.faults)) }
    }
}
