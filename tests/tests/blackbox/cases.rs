//! Case files as data: facts about keys, limits and parsing, from other systems' own tests, each run
//! against the binary.
//!
//! A file of the same form from elsewhere runs too: `KEYTOLL_CASES=DIR make cases`. What Keytoll does not
//! offer is told with its reason and counted apart; a case whose form a runner does not know counts there
//! as well, so that an unknown file never looks like a pass.

mod http_parsing;
mod keys;
mod ratelimit;

use keytoll_tests::binary::{Server, export, text};
use keytoll_tests::catalog;
use keytoll_tests::portal::Session;
use keytoll_tests::upstream::Upstream;
use serde_json::{Value, json};

/// Prefixes of the case files that have a runner, here or in a crate.
const READ: [&str; 4] = ["http-parsing", "keys", "pricing", "ratelimit"];

#[test]
fn files_without_a_runner_are_told() {
    keytoll_tests::report::tell_unread(&READ, |name| {
        if name.starts_with("specdiff") {
            "how versions of a document differ is judged by a later issue"
        } else {
            "no runner reads such a file"
        }
    });
}

/// One installation for a whole file: every case gets a product, a plan and a partner of its own.
struct Installation {
    server: Server,
    upstream: Upstream,
    staff: Session,
    token: String,
    cases: u32,
}

/// What was made for one case.
struct Shop {
    product: String,
    partner: String,
    subscription: String,
}

impl Installation {
    fn start(gateway_more: &str) -> Self {
        let mut server = Server::prepare("", gateway_more);
        server.run();
        let token = server.token("admin");
        let staff = Session::with_token(server.portal, &token);
        Self { server, upstream: Upstream::start(), staff, token, cases: 0 }
    }

    /// Sells an API with these operations under a plan with these members, or says why not.
    fn open(&mut self, operations: &[&str], product: &Value, plan: &Value) -> Result<Shop, String> {
        self.cases += 1;
        let id = format!("case-{}", self.cases);
        let spec = format!("{id}.json");
        self.server.folder.write(&spec, document(operations).to_string());
        let base = json!({"id": id, "spec": spec, "upstream": self.upstream.url()});
        let plan_base = json!({"id": id, "products": [id], "price_monthly": "1"});
        let catalog = json!({
            "currency": "USD",
            "products": [merged(&base, product)],
            "plans": [merged(&plan_base, plan)],
        });
        self.server.folder.write("catalog.yaml", catalog.to_string());
        let applied = self.server.cli(&["apply", "catalog.yaml"]);
        if !applied.status.success() {
            return Err(applied.stderr);
        }
        let email = format!("{id}@example.test");
        let partner =
            self.server.cli_json(&["partner", "create", "--name", &id, "--email", &email]);
        let partner = text(&partner, "id");
        let bought = self.server.cli_json(&["subscribe", "--partner", &partner, "--plan", &id]);
        Ok(Shop { product: id, partner, subscription: text(&bought, "id") })
    }

    /// A new key of the shop with more members; the answer as it came.
    fn key(&self, shop: &Shop, more: &Value) -> keytoll_tests::http::Response {
        let base = json!({
            "partnerId": shop.partner,
            "subscription": shop.subscription,
            "name": "case",
            "scopes": ["*"],
            "rateLimitPerMinute": null,
        });
        self.staff.post("/api/v1/keys", &merged(&base, more))
    }

    /// The secret of a new key that must be made.
    fn secret(&self, shop: &Shop, more: &Value) -> String {
        text(&self.key(shop, more).expect(201).json(), "key")
    }

    /// The calls in the journal that a shop's partner pays for.
    fn charged(&self, shop: &Shop) -> usize {
        let own = |row: &&Value| {
            row["subscription_id"] == shop.subscription.as_str() && row["units"] != 0
        };
        export(&self.server).iter().filter(own).count()
    }

    /// Imports keys as they are, one a line or as JSON lines.
    fn import(&self, shop: &Shop, lines: &str) {
        self.server.folder.write("keys.txt", lines);
        self.server.cli(&["keys", "import", "--subscription", &shop.subscription, "keys.txt"]).ok();
    }
}

fn merged(base: &Value, more: &Value) -> Value {
    let mut all = base.as_object().cloned().unwrap_or_default();
    all.extend(more.as_object().cloned().unwrap_or_default());
    Value::Object(all)
}

/// An OpenAPI document with these operations, written `METHOD /path`.
fn document(operations: &[&str]) -> Value {
    let mut document = catalog::spec();
    document["paths"] = json!({});
    for operation in operations {
        let (method, path) = operation.split_once(' ').expect("METHOD /path");
        let responses = json!({"responses": {"200": {"description": "Done"}}});
        document["paths"][path][method.to_lowercase()] = responses;
    }
    document
}
