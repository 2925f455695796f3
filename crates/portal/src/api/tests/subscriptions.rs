//! The terms of subscriptions, and the windows of keys.

use http::Method;
use serde_json::{Value, json};

use super::world::{Answer, World};

async fn patch(world: &World, id: &str, token: &str, body: Value) -> Answer {
    let path = format!("/api/v1/subscriptions/{id}");
    world.ask(&Method::PATCH, &path, Some(token), &body).await
}

#[tokio::test]
async fn terms_are_set_member_by_member_and_taken_back_with_null() {
    let world = World::new().await;
    let id = world.subscription(world.own).await;
    let admin = world.staff_token("admin").await;
    let body = json!({
        "limits": {"second": 20, "day": 100_000}, "quota": {"calls": 1000, "hard": false},
        "concurrency": 8, "spend_cap": "500",
    });
    let set = patch(&world, &id, &admin, body).await.expect(200);
    assert_eq!(set["limits"], json!({"second": 20, "day": 100_000}));
    assert_eq!(set["quota"], json!({"calls": 1000, "hard": false}));
    assert_eq!((&set["concurrency"], &set["spend_cap"]), (&json!(8), &json!("500.00")));
    let path = format!("/api/v1/subscriptions/{id}");
    assert_eq!(world.get(&path, &admin).await.expect(200), set);

    let body = json!({"limits": null, "quota": {"calls": 5}, "unknown": "is ignored"});
    let set = patch(&world, &id, &admin, body).await.expect(200);
    assert_eq!((&set["limits"], &set["concurrency"]), (&Value::Null, &json!(8)));
    assert_eq!(set["quota"], json!({"calls": 5, "hard": true}));
}

#[tokio::test]
async fn a_partner_sets_its_spend_cap_only() {
    let world = World::new().await;
    let id = world.subscription(world.own).await;
    let owner = world.partner_token(world.own, "owner").await;
    let set = patch(&world, &id, &owner, json!({"spend_cap": "12.5"})).await.expect(200);
    assert_eq!(set["spend_cap"], "12.50");
    for body in [
        json!({"limits": null}),
        json!({"quota": {"calls": 1_000_000}}),
        json!({"concurrency": 100, "spend_cap": "1"}),
    ] {
        patch(&world, &id, &owner, body).await.refused(403, "role_missing");
    }
    let other = world.partner_token(world.other, "owner").await;
    patch(&world, &id, &other, json!({"spend_cap": "1"})).await.refused(404, "not_found");
    patch(&world, "sub_x", &owner, json!({"spend_cap": "1"})).await.refused(404, "not_found");
}

#[tokio::test]
async fn unacceptable_terms_are_named_with_their_place() {
    let world = World::new().await;
    let id = world.subscription(world.own).await;
    let admin = world.staff_token("admin").await;
    for (body, place) in [
        (json!({"limits": {"second": 0}}), "/limits/second"),
        (json!({"limits": {"minute": "x"}}), "/limits/minute"),
        (json!({"limits": {"seconds": 5}}), "/limits"),
        (json!({"limits": 5}), "/limits"),
        (json!({"quota": {}}), "/quota/calls"),
        (json!({"quota": {"calls": 5, "hard": "yes"}}), "/quota/hard"),
        (json!({"concurrency": 10_001}), "/concurrency"),
        (json!({"concurrency": 1.5}), "/concurrency"),
        (json!({"spend_cap": "-1"}), "/spend_cap"),
        (json!({"spend_cap": "0.001"}), "/spend_cap"),
        (json!({"spend_cap": 500}), "/spend_cap"),
    ] {
        let refused = patch(&world, &id, &admin, body).await.refused(422, "request_unacceptable");
        assert_eq!(refused["errors"][0]["pointer"], place, "{refused}");
    }
    world.delete(&format!("/api/v1/subscriptions/{id}"), &admin).await.expect(200);
    patch(&world, &id, &admin, json!({"spend_cap": "1"})).await.refused(409, "conflict");
}

#[tokio::test]
async fn a_key_has_windows_of_its_own() {
    let world = World::new().await;
    world.subscription(world.own).await;
    let owner = world.partner_token(world.own, "owner").await;
    let key = |members: Value| {
        let mut body = json!({"name": "x", "scopes": ["*"]});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        body
    };
    for (asked, limits, minute) in [
        (json!({"limits": {"second": 5}}), json!({"second": 5, "minute": 60}), json!(60)),
        (json!({"limits": {"minute": 7, "day": 9}}), json!({"minute": 7, "day": 9}), json!(7)),
        (json!({"limits": {"minute": null, "hour": 3}}), json!({"hour": 3}), Value::Null),
        (json!({"limits": null, "rateLimitPerMinute": null}), json!({}), Value::Null),
    ] {
        let made = world.post("/api/v1/keys", &owner, &key(asked)).await.expect(201);
        assert_eq!((&made["limits"], &made["rateLimitPerMinute"]), (&limits, &minute));
        let path = format!("/api/v1/keys/{}", made["id"].as_str().unwrap());
        let row = world.get(&path, &owner).await.expect(200);
        assert_eq!((&row["limits"], &row["rate_limit_per_minute"]), (&limits, &minute));
    }
    for (asked, place) in [
        (json!({"limits": {"minute": 5}, "rateLimitPerMinute": 5}), "/limits/minute"),
        (json!({"limits": {"second": 10_001}}), "/limits/second"),
        (json!({"limits": {"day": 0}}), "/limits/day"),
        (json!({"limits": {"week": 1}}), "/limits"),
        (json!({"limits": [1]}), "/limits"),
    ] {
        let refused = world.post("/api/v1/keys", &owner, &key(asked)).await;
        let refused = refused.refused(422, "request_unacceptable");
        assert_eq!(refused["errors"][0]["pointer"], place, "{refused}");
    }
    let admin = world.staff_token("admin").await;
    let many = json!({"limits": {"second": 1_000_000_000}, "partnerId": world.own.to_string()});
    world.post("/api/v1/keys", &admin, &key(many)).await.expect(201);
}
