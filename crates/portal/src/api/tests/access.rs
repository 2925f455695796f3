//! Who may call what: a row for every route, a column for every kind of caller.

use http::Method;
use serde_json::{Value, json};

use super::conform::operations;
use super::world::World;

/// `-` stands for whoever the request does not sign in.
const CALLERS: [&str; 12] = [
    "-",
    "viewer",
    "developer",
    "billing",
    "owner",
    "other owner",
    "staff viewer",
    "staff support",
    "staff finance",
    "staff admin",
    "staff owner",
    "staff verifier",
];

/// Method, path, and the status for each of [`CALLERS`]; `{id}` is a thing of the own partner, and so is the
/// partner that bodies and queries name.
#[rustfmt::skip]
const TABLE: [(&str, &str, [u16; 12]); 29] = [
    //                                              -   view dev  bill own  other view supp fin  adm  own  verif
    ("POST", "/signup",                            [201, 201, 201, 201, 201, 201, 201, 201, 201, 201, 201, 201]),
    ("POST", "/login",                             [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200]),
    ("POST", "/logout",                            [204, 204, 204, 204, 204, 204, 204, 204, 204, 204, 204, 204]),
    ("GET", "/session",                            [401, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200]),
    ("POST", "/tokens",                            [401, 201, 201, 201, 201, 404, 403, 403, 403, 201, 201, 404]),
    ("GET", "/tokens",                             [401, 403, 403, 403, 200, 404, 403, 403, 403, 200, 200, 404]),
    ("DELETE", "/tokens/{id}",                     [401, 403, 403, 403, 200, 404, 403, 403, 403, 200, 200, 404]),
    ("GET", "/products",                           [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/products/{id}",                      [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/plans",                              [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200]),
    ("POST", "/subscriptions",                     [401, 403, 403, 201, 201, 404, 403, 403, 201, 201, 201, 404]),
    ("GET", "/subscriptions",                      [401, 200, 200, 200, 200, 404, 200, 200, 200, 200, 200, 404]),
    ("GET", "/subscriptions/{id}",                 [401, 200, 200, 200, 200, 404, 200, 200, 200, 200, 200, 404]),
    ("PATCH", "/subscriptions/{id}",               [401, 403, 403, 200, 200, 404, 403, 403, 403, 200, 200, 404]),
    ("DELETE", "/subscriptions/{id}",              [401, 403, 403, 200, 200, 404, 403, 403, 200, 200, 200, 404]),
    ("POST", "/keys",                              [401, 403, 201, 403, 201, 404, 403, 201, 403, 201, 201, 404]),
    ("GET", "/keys",                               [401, 200, 200, 200, 200, 404, 200, 200, 200, 200, 200, 404]),
    ("GET", "/keys/{id}",                          [401, 200, 200, 200, 200, 404, 200, 200, 200, 200, 200, 404]),
    ("DELETE", "/keys/{id}",                       [401, 403, 200, 403, 200, 404, 403, 200, 403, 200, 200, 404]),
    ("POST", "/keys/{id}/roll",                    [401, 403, 200, 403, 200, 404, 403, 200, 403, 200, 200, 404]),
    ("GET", "/keys/{id}/usage",                    [401, 200, 200, 200, 200, 404, 200, 200, 200, 200, 200, 404]),
    ("GET", "/keys/{id}/calls",                    [401, 200, 200, 200, 200, 404, 200, 200, 200, 200, 200, 404]),
    ("GET", "/usage",                              [401, 200, 200, 200, 200, 404, 200, 200, 200, 200, 200, 404]),
    ("GET", "/invoices",                           [401, 403, 403, 200, 200, 404, 403, 403, 200, 200, 200, 404]),
    ("GET", "/invoices/{id}",                      [401, 403, 403, 200, 200, 404, 403, 403, 200, 200, 200, 404]),
    ("GET", "/partners/{id}",                      [401, 200, 200, 200, 200, 404, 200, 200, 200, 200, 200, 404]),
    ("POST", "/partners",                          [401, 403, 403, 403, 403, 403, 403, 403, 403, 201, 201, 403]),
    ("GET", "/partners",                           [401, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/openapi.json",                       [200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200]),
];

/// Partners' things at which the table is run.
struct Targets {
    subscription: String,
    invoice: String,
}

impl World {
    async fn credential(&self, caller: &str) -> Option<String> {
        match caller {
            "-" => None,
            "other owner" => Some(self.partner_token(self.other, "owner").await),
            _ => Some(match caller.strip_prefix("staff ") {
                Some(role) => self.staff_token(role).await,
                None => self.partner_token(self.own, caller).await,
            }),
        }
    }

    /// The path with a fresh thing of the own partner in it: the last caller may have ended the one before.
    async fn path(&self, template: &str, targets: &Targets) -> String {
        let id = match template.split('/').nth(1) {
            _ if !template.contains("{id}") => String::new(),
            Some("keys") => self.key(&targets.subscription).await,
            Some("subscriptions") => self.subscription(self.own).await,
            Some("tokens") => self.token_id().await,
            Some("invoices") => targets.invoice.clone(),
            Some("partners") => self.own.to_string(),
            Some("products") => "tracking".to_owned(),
            other => panic!("no target for {other:?}"),
        };
        let path = template.replace("{id}", &id);
        let names_partner = ["/tokens", "/subscriptions", "/keys", "/usage", "/invoices"];
        let query = if names_partner.contains(&template) {
            format!("?partner={}", self.own)
        } else {
            String::new()
        };
        format!("/api/v1{path}{query}")
    }

    fn body(&self, row: (&str, &str), caller: &str, targets: &Targets) -> Value {
        let own = self.own.to_string();
        match row {
            ("POST", "/signup") => json!({
                "email": format!("{}@example.com", caller.replace(' ', ".")),
                "password": "long enough password",
                "partner_name": "New",
            }),
            ("POST", "/login") => {
                json!({"email": "first@example.com", "password": "long enough password"})
            }
            ("POST", "/tokens") => json!({"name": "x", "role": "viewer", "partnerId": own}),
            ("POST", "/subscriptions") => json!({"plan": "basic", "partnerId": own}),
            ("PATCH", "/subscriptions/{id}") => json!({"spend_cap": "500"}),
            ("POST", "/keys") => json!({
                "name": "x", "scopes": ["*"], "partnerId": own, "subscription": targets.subscription,
            }),
            ("POST", "/partners") => json!({"name": "x", "email": "x@example.com"}),
            _ => Value::Null,
        }
    }
}

#[tokio::test]
async fn every_caller_gets_what_the_table_says() {
    let settings = keytoll_control::Settings {
        active_keys_per_partner: 1_000,
        receipt_wait_ms: 50,
        ..keytoll_control::Settings::default()
    };
    let world = World::with(settings).await;
    let targets = Targets {
        subscription: world.subscription(world.own).await,
        invoice: world.invoice().await,
    };
    let first = json!({"email": "first@example.com", "password": "long enough password", "partner_name": "F"});
    world.ask(&Method::POST, "/api/v1/signup", None, &first).await.expect(201);
    let mut credentials = Vec::new();
    for caller in CALLERS {
        credentials.push((caller, world.credential(caller).await));
    }

    let mut wrong = Vec::new();
    for (method, template, expected) in TABLE {
        for ((caller, credential), expected) in credentials.iter().zip(expected) {
            let path = world.path(template, &targets).await;
            let body = world.body((method, template), caller, &targets);
            let method: Method = method.parse().unwrap();
            let answer = world.ask(&method, &path, credential.as_deref(), &body).await;
            if answer.status != expected {
                wrong.push(format!(
                    "{method} {path} as {caller}: {} {}",
                    answer.status, answer.json
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_route_is_in_the_table() {
    let mut table: Vec<(String, String)> = Vec::new();
    for (method, path, _) in TABLE {
        table.push((method.to_owned(), format!("/api/v1{path}")));
    }
    let mut operations = operations();
    table.sort();
    operations.sort();
    assert_eq!(table, operations);
}

/// Ids that exist nowhere, and texts that are no ids, are not found either.
#[tokio::test]
async fn unknown_ids_are_not_found() {
    let world = World::new().await;
    let token = world.staff_token("owner").await;
    for (resource, prefix) in [
        ("keys", "key"),
        ("subscriptions", "sub"),
        ("invoices", "inv"),
        ("partners", "ptn"),
        ("products", "x"),
    ] {
        for id in [
            format!("{prefix}_{}", "0".repeat(32)),
            "x%00y".into(),
            "%ff".into(),
            "..".into(),
            "'".into(),
        ] {
            let path = format!("/api/v1/{resource}/{id}");
            world.get(&path, &token).await.refused(404, "not_found");
        }
    }
    let path = format!("/api/v1/tokens/tok_{}", "0".repeat(32));
    world.delete(&path, &token).await.refused(404, "not_found");
}

/// Staff whose role does not allow a list to any partner are not asked which one.
#[tokio::test]
async fn lists_without_a_partner_show_all_or_are_refused_by_role() {
    let world = World::new().await;
    for (role, path, status) in [
        ("support", "keys", 200),
        ("finance", "keys", 200),
        ("verifier", "keys", 403),
        ("support", "invoices", 403),
        ("finance", "invoices", 200),
        ("verifier", "usage", 403),
        ("viewer", "tokens", 403),
        ("admin", "tokens", 200),
    ] {
        let token = world.staff_token(role).await;
        let answer = world.get(&format!("/api/v1/{path}"), &token).await;
        assert_eq!(answer.status.as_u16(), status, "{role} {path}: {}", answer.json);
    }
    let admin = world.staff_token("admin").await;
    let body = json!({"name": "x", "scopes": ["*"]});
    world.post("/api/v1/keys", &admin, &body).await.refused(409, "partner_required");
    let body = json!({"plan": "basic"});
    world.post("/api/v1/subscriptions", &admin, &body).await.refused(409, "partner_required");
}
