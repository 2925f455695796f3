use super::{Given, check, document, expect, found};

const THREE: &str = r"
openapi: 3.0.3
info: {title: Parameters, version: '1'}
paths:
  /parcels/{id}:
    get:
      parameters:
        - {name: id, in: path, required: true, schema: {type: integer, minimum: 1}}
        - {name: limit, in: query, schema: {type: integer, minimum: 1, maximum: 100, exclusiveMaximum: true}}
        - {name: sort, in: query, schema: {type: string, enum: [up, down]}}
        - {name: fast, in: query, schema: {type: boolean}}
        - {name: ids, in: query, schema: {type: array, items: {type: integer}, maxItems: 3}}
        - {name: tags, in: query, explode: false, schema: {type: array, items: {type: string, pattern: '^[a-z]+$'}}}
        - {name: piped, in: query, style: pipeDelimited, explode: false, schema: {type: array, items: {type: integer}}}
        - {name: filter, in: query, style: deepObject, explode: true, schema: {type: object, additionalProperties: false, properties: {min: {type: number}, name: {type: string}}}}
        - {name: either, in: query, schema: {oneOf: [{type: integer}, {type: string, enum: [all]}]}}
        - {name: json, in: query, content: {application/json: {schema: {type: object, required: [a]}}}}
        - {name: flag, in: query, allowEmptyValue: true, schema: {type: boolean}}
        - {name: since, in: query, schema: {type: string, format: date-time}}
        - {name: X-Trace, in: header, required: true, schema: {type: string, format: uuid}}
        - {name: Authorization, in: header, required: true, schema: {type: integer}}
        - {name: X-Sizes, in: header, schema: {type: array, items: {type: integer}}}
      responses: {}
  /files/{name}.{kind}:
    get:
      parameters:
        - {name: name, in: path, required: true, schema: {type: string, maxLength: 4}}
        - {name: kind, in: path, required: true, schema: {type: string, enum: [png, jpg]}}
        - {name: must, in: query, required: true, schema: {type: string}}
      responses: {}
";

#[test]
fn check_tells_what_is_wrong_with_each_parameter() {
    let document = document(THREE);
    let trace = ("x-trace", "0191d3a4-7b1c-7e2f-8a4b-1c2d3e4f5a6b");
    let cases = [
        ("/parcels/7", ""),
        ("/parcels/x", "path/id: must be of type integer"),
        ("/parcels/0", "path/id: must be at least 1"),
        ("/parcels/007", "path/id: must be of type integer"),
        ("/parcels/%37", ""),
        ("/parcels/7?limit=99", ""),
        ("/parcels/7?limit=100", "query/limit: must be less than 100"),
        ("/parcels/7?limit=0", "query/limit: must be at least 1"),
        ("/parcels/7?limit=", "query/limit: must be of type integer"),
        ("/parcels/7?limit=1.5", "query/limit: must be of type integer"),
        ("/parcels/7?limit=+1", "query/limit: must be of type integer"),
        ("/parcels/7?limit=1&limit=2", "query/limit: is given more than once"),
        ("/parcels/7?l%69mit=0", "query/limit: must be at least 1"),
        ("/parcels/7?sort=up", ""),
        ("/parcels/7?sort=UP", "query/sort: must be one of \"up\", \"down\""),
        ("/parcels/7?fast=true", ""),
        ("/parcels/7?fast=1", "query/fast: must be of type boolean"),
        ("/parcels/7?unknown=1&other", ""),
        ("/parcels/7?ids=1", ""),
        ("/parcels/7?ids=1&ids=2&ids=3", ""),
        ("/parcels/7?ids=1&ids=2&ids=3&ids=4", "query/ids: must have at most 3 items"),
        ("/parcels/7?ids=1&ids=x", "query/ids#/1: must be of type integer"),
        ("/parcels/7?tags=a,b", ""),
        ("/parcels/7?tags=a%2Cb", ""),
        ("/parcels/7?tags=a,B", "query/tags#/1: does not match the pattern"),
        ("/parcels/7?tags=a&tags=b", "query/tags: is given more than once"),
        ("/parcels/7?piped=1%7C2", ""),
        ("/parcels/7?piped=1|x", "query/piped#/1: must be of type integer"),
        ("/parcels/7?filter[min]=2.5&filter%5Bname%5D=x", ""),
        ("/parcels/7?filter[min]=low", "query/filter#/min: must be of type number"),
        ("/parcels/7?filter[max]=1", "query/filter#/max: is not allowed here"),
        ("/parcels/7?filter[a][b]=1", ""),
        ("/parcels/7?either=5", ""),
        ("/parcels/7?either=all", ""),
        ("/parcels/7?either=none", "query/either: must be one of \"all\""),
        ("/parcels/7?json=%7B%22a%22:1%7D", ""),
        ("/parcels/7?json=%7B%7D", "query/json#/a: is required"),
        ("/parcels/7?json=%7B", "query/json: is not JSON"),
        ("/parcels/7?flag", ""),
        ("/parcels/7?flag=yes", "query/flag: must be of type boolean"),
        ("/parcels/7?since=2026-02-28T23:59:60Z", ""),
        ("/parcels/7?since=2026-02-29T00:00:00Z", "query/since: must be a time"),
    ];
    for (target, expected) in cases {
        let operation = ("GET", "/parcels/{id}");
        let given = Given { operation, target, headers: &[trace], body: None };
        expect(target, &found(check(&document, given)), expected);
    }
}

#[test]
fn check_tells_what_is_wrong_with_header_fields_without_their_values() {
    let document = document(THREE);
    let good = "0191d3a4-7b1c-7e2f-8a4b-1c2d3e4f5a6b";
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[], "header/x-trace: is required"),
        (&[("x-trace", "secret-of-somebody")], "header/x-trace: must be a UUID"),
        (&[("x-trace", good), ("x-sizes", "1, 2,3")], ""),
        (&[("x-trace", good), ("x-sizes", "1")], ""),
        (&[("x-trace", good), ("x-sizes", "1,secret")], "header/x-sizes#/1: must be of type"),
    ];
    for (headers, expected) in cases {
        let operation = ("GET", "/parcels/{id}");
        let given = Given { operation, target: "/parcels/7", headers, body: None };
        let found = found(check(&document, given));
        expect(&format!("{headers:?}"), &found, expected);
        assert!(!found.iter().any(|one| one.contains("secret")));
    }
}

#[test]
fn check_finds_several_placeholders_in_one_segment() {
    let document = document(THREE);
    let cases = [
        ("/files/sea.png?must=", ""),
        ("/files/sea.gif?must=x", "path/kind: must be one of"),
        ("/files/ocean.png?must=x", "path/name: must have at most 4 characters"),
        ("/files/sea.png", "query/must: is required"),
    ];
    for (target, expected) in cases {
        let operation = ("GET", "/files/{name}.{kind}");
        let given = Given { operation, target, headers: &[], body: None };
        expect(target, &found(check(&document, given)), expected);
    }
}

#[test]
fn check_reads_the_parameters_of_swagger_2() {
    let document = document(
        r"
swagger: '2.0'
info: {title: Older, version: '1'}
paths:
  /pets/{id}:
    parameters:
      - {name: id, in: path, required: true, type: integer}
      - {name: size, in: query, type: string}
    get:
      parameters:
        - {name: size, in: query, type: integer, maximum: 5, exclusiveMaximum: true}
        - {name: csv, in: query, type: array, items: {type: integer}}
        - {name: multi, in: query, type: array, collectionFormat: multi, items: {type: string, enum: [a, b]}, minItems: 2}
        - {name: ssv, in: query, type: array, collectionFormat: ssv, items: {type: integer}}
      responses: {}
",
    );
    let cases = [
        ("/pets/1?size=4", ""),
        ("/pets/1?size=5", "query/size: must be less than 5"),
        ("/pets/one", "path/id: must be of type integer"),
        ("/pets/1?csv=1,2", ""),
        ("/pets/1?csv=1,b", "query/csv#/1: must be of type integer"),
        ("/pets/1?multi=a&multi=b", ""),
        ("/pets/1?multi=a", "query/multi: must have at least 2 items"),
        ("/pets/1?multi=a&multi=c", "query/multi#/1: must be one of"),
        ("/pets/1?ssv=1+2%203", ""),
        ("/pets/1?ssv=1+b", "query/ssv#/1: must be of type integer"),
    ];
    for (target, expected) in cases {
        let given = Given { operation: ("GET", "/pets/{id}"), target, headers: &[], body: None };
        expect(target, &found(check(&document, given)), expected);
    }
}

#[test]
fn check_reads_a_map_that_is_spread_over_the_query() {
    let document = document(
        r"
openapi: 3.1.0
info: {title: Spread, version: '1'}
paths:
  /search:
    get:
      parameters:
        - {name: params, in: query, required: true, schema: {$ref: '#/components/schemas/Params'}}
      responses: {}
components:
  schemas:
    Params: {type: object, required: [q], properties: {q: {type: string}, page: {type: [integer, 'null']}}}
",
    );
    let cases = [
        ("/search?q=pens&page=2", ""),
        ("/search?q=pens&page=", ""),
        ("/search?page=2", "query/params#/q: is required"),
        ("/search?q=pens&page=two", "query/params#/page: must be of type null or integer"),
        ("/search", "query/params#/q: is required"),
    ];
    for (target, expected) in cases {
        let given = Given { operation: ("GET", "/search"), target, headers: &[], body: None };
        expect(target, &found(check(&document, given)), expected);
    }
}

#[test]
fn check_refuses_a_query_of_too_many_pairs() {
    let document = document(THREE);
    let target = format!("/files/a.png?must=1{}", "&x=1".repeat(1_000));
    let operation = ("GET", "/files/{name}.{kind}");
    let given = Given { operation, target: &target, headers: &[], body: None };
    expect("many", &found(check(&document, given)), "query: has too many parameters");
}
