//! The demo's sample upstream: a small shipment-tracking API with invented, fixed data.

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

const FIRST: u32 = 1001;
const COUNT: u32 = 20;
const LIST_MAX: usize = 50;
const CITIES: [&str; 6] = ["Hamburg", "Lyon", "Porto", "Gdansk", "Turin", "Ghent"];
const CARRIERS: [&str; 3] = ["Northline", "Parcelle", "Quickroad"];
const STATUSES: [&str; 4] = ["created", "in_transit", "out_for_delivery", "delivered"];

/// The API below `/tracking/v2`, and the same as a sandbox below `/sandbox/v2`.
pub fn router() -> Router {
    let api = Router::new()
        .route("/shipments", get(list).post(create))
        .route("/shipments/{number}", get(show))
        .route("/shipments/{number}/events", get(events))
        .route("/rates", get(rates));
    Router::new().nest("/tracking/v2", api.clone()).nest("/sandbox/v2", api)
}

#[derive(Deserialize)]
struct ListQuery {
    status: Option<String>,
    limit: Option<usize>,
}

async fn list(Query(query): Query<ListQuery>) -> Json<Value> {
    let wanted =
        |item: &Value| query.status.as_ref().is_none_or(|status| item["status"] == **status);
    let limit = query.limit.unwrap_or(20).clamp(1, LIST_MAX);
    let found: Vec<Value> =
        (FIRST..FIRST + COUNT).rev().map(shipment).filter(wanted).take(limit).collect();
    Json(json!({ "shipments": found }))
}

async fn show(Path(number): Path<String>) -> (StatusCode, Json<Value>) {
    match parse(&number) {
        Some(index) => (StatusCode::OK, Json(shipment(index))),
        None => not_found(),
    }
}

async fn events(Path(number): Path<String>) -> (StatusCode, Json<Value>) {
    let Some(index) = parse(&number) else { return not_found() };
    let texts = ["Announced", "Picked up", "On the van", "Delivered"];
    let reached = (index % 4) as usize;
    let events: Vec<Value> = texts
        .iter()
        .take(reached + 1)
        .enumerate()
        .map(|(step, text)| {
            let place = if step < 2 { city(index) } else { city(index + 1) };
            let at = format!("2026-01-{:02}T08:30:00Z", 5 + step);
            json!({ "at": at, "place": place, "text": text })
        })
        .collect();
    (StatusCode::OK, Json(json!({ "events": events })))
}

#[derive(Deserialize)]
struct NewShipment {
    from: String,
    to: String,
    weight_grams: u32,
}

/// Nothing is kept: the answer shows what a real API would have stored.
async fn create(Json(new): Json<NewShipment>) -> (StatusCode, Json<Value>) {
    let made = json!({
        "number": format!("KT-{}", FIRST + COUNT),
        "status": STATUSES[0],
        "from": new.from,
        "to": new.to,
        "weight_grams": new.weight_grams,
        "carrier": CARRIERS[0],
    });
    (StatusCode::CREATED, Json(made))
}

#[derive(Deserialize)]
struct RatesQuery {
    weight_grams: u32,
}

async fn rates(Query(query): Query<RatesQuery>) -> Json<Value> {
    let rates: Vec<Value> = CARRIERS
        .iter()
        .zip([(490, 4), (690, 3), (990, 1)])
        .map(|(carrier, (base, days))| {
            let price = base + query.weight_grams / 10;
            json!({ "carrier": carrier, "price_minor": price, "currency": "EUR", "days": days })
        })
        .collect();
    Json(json!({ "rates": rates }))
}

fn parse(number: &str) -> Option<u32> {
    let index: u32 = number.strip_prefix("KT-")?.parse().ok()?;
    (FIRST..FIRST + COUNT).contains(&index).then_some(index)
}

fn shipment(index: u32) -> Value {
    json!({
        "number": format!("KT-{index}"),
        "status": STATUSES[(index % 4) as usize],
        "from": city(index),
        "to": city(index + 1),
        "weight_grams": 500 + (index % 9) * 250,
        "carrier": CARRIERS[(index % 3) as usize],
    })
}

fn city(index: u32) -> &'static str {
    CITIES[(index % 6) as usize]
}

fn not_found() -> (StatusCode, Json<Value>) {
    let body = json!({ "title": "No such shipment", "status": 404 });
    (StatusCode::NOT_FOUND, Json(body))
}
