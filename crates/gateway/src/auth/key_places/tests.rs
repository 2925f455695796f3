use keytoll_domain::catalog::{KeySource, ProductSettings};

use super::KeyPlaces;
use crate::credential::KeyFrom;
use crate::fields::Fields;

/// Names of header fields, the line that tells them, and names of parameters.
fn places(
    sources: &[KeySource],
    headers: &[(&'static str, &str)],
    query: &str,
) -> (Vec<String>, String, Vec<String>) {
    let settings = ProductSettings { key_from: sources.to_vec(), ..ProductSettings::default() };
    let from = KeyFrom::of(&settings);
    let mut fields = Fields::default();
    for (name, value) in headers {
        fields.push(name.as_bytes(), value.as_bytes());
    }
    let found = from.find(&fields, Some(query)).expect("the request has a key");
    let places = KeyPlaces::of(&found, &from, "sk", &fields, Some(query));
    let mut line = Vec::new();
    places.put_headers(&mut line, "to-remove");
    let (headers, query) = places.names();
    (headers, String::from_utf8(line).expect("names are text"), query)
}

#[test]
fn every_place_of_the_key_is_named_and_no_other() {
    let by_header = [("authorization", "Bearer a.jwt.of-the-service"), ("x-api-key", "secret-1")];
    let found = places(&[KeySource::Header], &by_header, "a=b&api_key=another");
    assert_eq!(found.0, ["x-api-key"], "the service's own token stays");
    assert_eq!(found.1, "to-remove: x-api-key\r\n");
    assert!(found.2.is_empty(), "{:?}", found.2);

    let both = [
        ("Authorization", "Bearer secret-1"),
        ("X-Api-Key", "secret-1"),
        ("x-other", "1"),
        ("x-api-KEY", "secret-1"),
    ];
    let found = places(&[KeySource::Bearer], &both, "a=b&api%5Fkey=secret-1&&api_key=secret-1");
    assert_eq!(found.0, ["authorization", "x-api-key"]);
    assert_eq!(found.1, "to-remove: authorization,x-api-key\r\n");
    assert_eq!(found.2, ["api%5Fkey", "api_key"]);

    let hidden = places(&[KeySource::Header], &by_header[1..], "a=b&c=1;api_key=secret-1");
    assert_eq!(hidden.2, ["c"]);
}
