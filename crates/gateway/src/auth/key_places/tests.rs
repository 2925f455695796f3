use keytoll_domain::catalog::{KeySource, ProductSettings};

use super::KeyPlaces;
use crate::credential::KeyFrom;
use crate::fields::Fields;

fn places(sources: &[KeySource], headers: &[(&'static str, &str)], query: &str) -> KeyPlaces {
    let settings = ProductSettings { key_from: sources.to_vec(), ..ProductSettings::default() };
    let from = KeyFrom::of(&settings);
    let mut fields = Fields::default();
    for (name, value) in headers {
        fields.push(name.as_bytes(), value.as_bytes());
    }
    let found = from.find(&fields, Some(query)).expect("the request has a key");
    KeyPlaces::of(&found, &from, "sk", &fields, Some(query))
}

#[test]
fn every_place_of_the_key_is_named_and_no_other() {
    let by_header = [("authorization", "Bearer a.jwt.of-the-service"), ("x-api-key", "secret-1")];
    let found = places(&[KeySource::Header], &by_header, "a=b&api_key=another");
    assert_eq!(found.headers, ["x-api-key"], "the service's own token stays");
    assert!(found.query.is_empty(), "{:?}", found.query);

    let both = [("authorization", "Bearer secret-1"), ("x-api-key", "secret-1"), ("x-other", "1")];
    let found = places(&[KeySource::Bearer], &both, "a=b&api%5Fkey=secret-1&&api_key=secret-1");
    assert_eq!(found.headers, ["authorization", "x-api-key"]);
    assert_eq!(found.query, ["api%5Fkey", "api_key"]);

    let hidden = places(&[KeySource::Header], &by_header[1..], "a=b&c=1;api_key=secret-1");
    assert_eq!(hidden.query, ["c"]);
}
