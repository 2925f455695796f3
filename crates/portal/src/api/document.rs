//! The API's own `OpenAPI` document: its head, and what every operation has in common.
//!
//! Handlers say what is special to them; credentials, and the answers that follow from them or from having a
//! body or an id, are added here, so that no operation can forget one.

use std::sync::OnceLock;

use axum::response::IntoResponse;
use http::header;
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, Content, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::{PROBLEM, ProblemBody};
use crate::state::Portal;

const DESCRIPTION: &str = "\
Keys, subscriptions, usage and invoices of partners, and the catalogue of what is for sale.

Callers use the session cookie that `POST /api/v1/login` sets, or a management token. Lists have a `limit` and a \
`cursor`; `next_cursor` is null on the last page. Bodies are JSON of at most 1 MiB; members that are not known are \
ignored. Errors are RFC 9457 problems with a stable `code`. What belongs to another partner is not found.";

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(show))
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "document", operation_id = "showDocument", security(()),
    responses((status = 200, description = "The document", body = serde_json::Value)))]
async fn show() -> impl IntoResponse {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let document = DOCUMENT.get_or_init(super::openapi_json).as_str();
    ([(header::CONTENT_TYPE, "application/json")], document)
}

pub(super) fn head() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Keytoll management API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .build();
    let tags = [
        ("session", "Signing up, in and out"),
        ("tokens", "Management tokens: credentials of programs"),
        ("catalogue", "What is for sale"),
        ("subscriptions", "Buying plans"),
        ("keys", "API keys"),
        ("usage", "Calls that were made"),
        ("invoices", "What they cost"),
        ("partners", "Organisations that use the APIs"),
        ("document", "This document"),
    ];
    let tag = |(name, about)| TagBuilder::new().name(name).description(Some(about)).build();
    OpenApiBuilder::new().info(info).tags(Some(tags.map(tag))).build()
}

/// Adds credentials and the problems that are common to operations.
pub(super) fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_with(Components::new);
    let cookie =
        ApiKeyValue::with_description("keytoll", "`__Host-keytoll` where the portal has https.");
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme("token", token);
    components.schemas.insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    let mut places = Vec::new();
    <ProblemBody as ToSchema>::schemas(&mut places);
    components.schemas.extend(places);
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            complete_operation(operation);
        }
    }
}

fn complete_operation(operation: &mut Operation) {
    if operation.security.is_none() {
        let none: [&str; 0] = [];
        let requirement = |name| SecurityRequirement::new(name, none);
        operation.security = Some(vec![requirement("session"), requirement("token")]);
        add(
            operation,
            "403",
            "`role_missing`, or `cross_site` for a session used from another site",
        );
    }
    let takes_credentials =
        |all: &Vec<_>| all.iter().any(|own| *own != SecurityRequirement::default());
    if operation.security.as_ref().is_some_and(takes_credentials) {
        add(operation, "401", "`not_signed_in`");
    }
    let names = parameter_names(operation);
    if names.iter().any(|name| name == "id" || name == "partner") {
        add(operation, "404", "`not_found`: there is no such thing, or it is not yours");
    }
    if names.iter().any(|name| name == "partner") {
        add(operation, "409", "`partner_required`: you have several partners, say which");
    }
    if names.iter().any(|name| name != "id") {
        add(operation, "422", "A parameter is not acceptable; `errors` says which");
    }
    if operation.request_body.is_some() {
        add(operation, "400", "`request_invalid`: malformed");
        add(operation, "408", "`request_timeout`: the body did not arrive in time");
        add(operation, "413", "`body_too_large`: over 1 MiB");
        add(operation, "415", "`unsupported_media_type`: not JSON");
        add(operation, "422", "Not acceptable; `errors` lists what and where");
    }
    add(operation, "500", "`internal`: the fault is ours");
    add(operation, "503", "`unavailable`: try again shortly");
}

fn parameter_names(operation: &Operation) -> Vec<String> {
    let name = |parameter: &RefOr<Parameter>| match parameter {
        RefOr::T(parameter) => Some(parameter.name.clone()),
        RefOr::Ref(_) => None,
    };
    operation.parameters.iter().flatten().filter_map(name).collect()
}

/// What a handler says about a status itself stays.
fn add(operation: &mut Operation, status: &str, about: &str) {
    let schema = Ref::from_schema_name(ProblemBody::name());
    let content = Content::new(Some(RefOr::Ref(schema)));
    let response = ResponseBuilder::new().description(about).content(PROBLEM, content);
    let responses = &mut operation.responses.responses;
    responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(response.build()));
}
