//! Fields of forms and queries as they were typed. Nothing here fails: a field that is absent is empty.

use std::time::Duration;

use axum::extract::{FromRequest, RawForm, Request};
use axum::response::{IntoResponse, Response};
use http::header::{COOKIE, HeaderMap};
use http::{StatusCode, Uri};

use super::answer::{Stop, bare_shell};
use crate::pages::error::ErrorPage;

/// More fields than any form has.
const FIELDS_MAX: usize = 1_000;
/// A form must have arrived by then.
const FORM_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn of_query(uri: &Uri) -> Self {
        Self::read(uri.query().unwrap_or_default().as_bytes())
    }

    /// The first field of this name, trimmed; empty when there is none.
    pub(super) fn text(&self, name: &str) -> String {
        self.raw(name).trim().to_owned()
    }

    /// The first field of this name as typed, as a password must be read.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let named = self.0.iter().filter(|(found, _)| found == name);
        named.map(|(_, value)| value.trim().to_owned()).collect()
    }

    fn read(bytes: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(bytes).take(FIELDS_MAX);
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let shell = bare_shell(request.headers(), request.uri());
        let form = RawForm::from_request(request, state);
        match tokio::time::timeout(FORM_TIMEOUT, form).await {
            Ok(Ok(RawForm(bytes))) => Ok(Self::read(&bytes)),
            Err(_) => Err(Stop::error(ErrorPage::too_slow(), &shell).into_response()),
            Ok(Err(rejection)) => {
                let large = rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE;
                let error = if large { ErrorPage::too_large() } else { ErrorPage::bad_request() };
                Err(Stop::error(error, &shell).into_response())
            }
        }
    }
}

/// The first cookie of this name.
pub(super) fn cookie_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim())
}
