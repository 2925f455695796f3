use super::{Given, check, document, expect, found, validators};
use crate::limits::{MAX_VALIDATED_BODY_BYTES, MAX_VIOLATIONS};
use crate::validate::{Body, BodyNeeded, RequestParts};

const OLD: &str = r"
openapi: 3.0.3
info: {title: Bodies, version: '1'}
paths:
  /pets:
    post:
      requestBody:
        required: true
        content:
          application/json: {schema: {$ref: '#/components/schemas/Pet'}}
          image/*: {schema: {type: string, format: binary}}
      responses: {}
  /shapes:
    post:
      requestBody:
        content:
          application/vnd.shape+json:
            schema:
              oneOf: [{$ref: '#/components/schemas/Circle'}, {$ref: '#/components/schemas/Square'}]
              discriminator: {propertyName: kind, mapping: {round: '#/components/schemas/Circle'}}
      responses: {}
components:
  schemas:
    Pet:
      allOf:
        - {$ref: '#/components/schemas/Named'}
        - type: object
          required: [id, name]
          properties:
            age: {type: integer, minimum: 0, exclusiveMinimum: true}
            mother: {$ref: '#/components/schemas/Pet'}
            chip: {type: string, nullable: true, minLength: 2}
            weight: {type: number, multipleOf: 0.01}
            home: {$ref: '#/components/schemas/Named', minLength: 999}
    Named:
      type: object
      properties: {name: {type: string, maxLength: 5}, id: {type: integer, readOnly: true}}
    Circle: {type: object, required: [radius], properties: {kind: {type: string}, radius: {type: number}}}
    Square: {type: object, required: [side], properties: {kind: {type: string}, side: {type: number}}}
";

const NEW: &str = r"
openapi: 3.1.0
info: {title: Bodies, version: '1'}
paths:
  /any:
    post:
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Any'}}}}
      responses: {}
components:
  schemas:
    Any:
      type: object
      additionalProperties: false
      patternProperties: {'^x-': {type: string}}
      propertyNames: {maxLength: 8}
      dependentRequired: {card: [cvc]}
      if: {required: [kind], properties: {kind: {const: b}}}
      then: {required: [b]}
      else: {not: {required: [b]}}
      properties:
        kind: {enum: [a, b, 1, null]}
        b: {exclusiveMinimum: 3, exclusiveMaximum: 5}
        pair: {prefixItems: [{type: string}, {type: integer}], items: false}
        set: {type: array, uniqueItems: true, contains: {const: 1}}
        card: {$ref: '#/components/schemas/Short', minLength: 2}
        cvc: {type: [string, 'null']}
        any: true
        none: false
    Short: {type: string, maxLength: 4}
";

fn run(text: &str, operation: (&str, &str), kind: &str, cases: &[(&str, &str)]) {
    let document = document(text);
    for (body, expected) in cases {
        let headers = [("content-type", kind)];
        let given = Given { operation, target: operation.1, headers: &headers, body: Some(body) };
        expect(body, &found(check(&document, given)), expected);
    }
}

#[test]
fn check_takes_a_body_by_the_rules_of_3_0() {
    let cases = [
        (r#"{"name":"Rex"}"#, ""),
        ("{}", "body#/name: is required"),
        (r#"{"name":"Rex","id":"not looked at"}"#, ""),
        (r#"{"name":"Rexxxx"}"#, "body#/name: must have at most 5 characters"),
        (r#"{"name":"Rex","age":0}"#, "body#/age: must be greater than 0"),
        (r#"{"name":"Rex","age":1.0}"#, ""),
        (r#"{"name":"Rex","age":"1"}"#, "body#/age: must be of type integer"),
        (
            r#"{"name":"Rex","mother":{"name":"A","mother":{"name":7}}}"#,
            "body#/mother/mother/name: ",
        ),
        (r#"{"name":"Rex","chip":null}"#, ""),
        (r#"{"name":null}"#, "body#/name: must be of type string"),
        (r#"{"name":"Rex","weight":0.07}"#, ""),
        (r#"{"name":"Rex","weight":0.075}"#, "body#/weight: must be a multiple of 0.01"),
        (r#"{"name":"Rex","home":{"name":"x"}}"#, ""),
        (r#"{"name":"Rex","name":"Max"}"#, "body: has a map in which a name stands twice"),
        (r#"{"name":"Rex""#, "body: is not JSON"),
        ("[]", "body: must be of type object"),
        ("", "body: is required"),
    ];
    run(OLD, ("POST", "/pets"), "application/json; charset=utf-8", &cases);
}

#[test]
fn check_takes_a_body_by_the_rules_of_3_1() {
    let cases = [
        (r#"{"kind":"a"}"#, ""),
        (r#"{"kind":1.0}"#, ""),
        (r#"{"kind":"c"}"#, "body#/kind: must be one of"),
        (r#"{"kind":"b"}"#, "body#/b: is required"),
        (r#"{"kind":"b","b":4}"#, ""),
        (r#"{"kind":"b","b":5}"#, "body#/b: must be less than 5"),
        (r#"{"kind":"a","b":4}"#, "body: fits a schema that it must not fit"),
        (r#"{"x-a":"1"}"#, ""),
        (r#"{"x-a":1}"#, "body#/x-a: must be of type string"),
        (r#"{"y":1}"#, "body#/y: is not allowed here"),
        (r#"{"x-aaaaaaaaa":"1"}"#, "body#/x-aaaaaaaaa: is no name"),
        (r#"{"pair":["a",1]}"#, ""),
        (r#"{"pair":["a",1,2]}"#, "body#/pair/2: is not allowed here"),
        (r#"{"pair":[1]}"#, "body#/pair/0: must be of type string"),
        (r#"{"set":[1,2]}"#, ""),
        (r#"{"set":[2]}"#, "body#/set: has too few or too many"),
        (r#"{"set":[1,{"a":1,"b":2},{"b":2.0,"a":1}]}"#, "body#/set: must not have equal items"),
        (r#"{"card":"1234"}"#, "body#/cvc: is required beside card"),
        (r#"{"card":"1","cvc":null}"#, "body#/card: must have at least 2 characters"),
        (r#"{"card":"12345","cvc":"1"}"#, "body#/card: must have at most 4 characters"),
        (r#"{"any":[{}]}"#, ""),
        (r#"{"none":1}"#, "body#/none: is not allowed here"),
    ];
    run(NEW, ("POST", "/any"), "application/json", &cases);
    run(&NEW.replace("3.1.0", "3.2.0"), ("POST", "/any"), "application/json", &cases);
}

#[test]
fn check_follows_the_discriminator() {
    let cases = [
        (r#"{"kind":"round","radius":1}"#, ""),
        (r#"{"kind":"round","side":1}"#, "body#/radius: is required"),
        (r#"{"kind":"Square"}"#, "body#/side: is required"),
        (r#"{"kind":"other","side":1}"#, ""),
        (r#"{"side":1,"radius":1}"#, "body: fits more than one of its alternatives"),
        ("{}", "body: fits none of its 2 alternatives"),
        ("7", "body: fits none of its 2 alternatives"),
        ("", ""),
    ];
    run(OLD, ("POST", "/shapes"), "application/vnd.shape+json", &cases);
}

#[test]
fn check_takes_documented_content_types_only() {
    let document = document(OLD);
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[("content-type", "IMAGE/png")], ""),
        (&[("content-type", "text/plain")], "header/content-type: must be application/json or"),
        (&[("content-type", "application/vnd.x+json")], "header/content-type: must be"),
        (&[], "header/content-type: must be"),
        (
            &[("content-type", "application/json"), ("content-encoding", "gzip")],
            "header/content-encoding: keeps",
        ),
        (&[("content-type", "application/json"), ("content-encoding", "identity")], "body: is not"),
    ];
    for (headers, expected) in cases {
        let operation = ("POST", "/pets");
        let given = Given { operation, target: "/pets", headers, body: Some("\u{1}") };
        expect(&format!("{headers:?}"), &found(check(&document, given)), expected);
    }
}

#[test]
fn check_reads_the_bodies_of_swagger_2() {
    let two = r"
swagger: '2.0'
info: {title: Older, version: '1'}
paths:
  /pets:
    post:
      parameters: [{name: pet, in: body, required: true, schema: {$ref: '#/definitions/Pet'}}]
      responses: {}
  /photos:
    post:
      parameters: [{name: file, in: formData, type: file, required: true}]
      responses: {}
definitions:
  Pet: {type: object, required: [name], properties: {name: {type: string, x-nullable: true}, mother: {$ref: '#/definitions/Pet'}}}
";
    let cases = [
        (r#"{"name":null,"mother":{"name":"A"}}"#, ""),
        (r#"{"name":"Rex","mother":{}}"#, "body#/mother/name: is required"),
        ("", "body: is required"),
    ];
    run(two, ("POST", "/pets"), "application/json", &cases);
    run(two, ("POST", "/pets"), "application/xml", &[("<pet/>", "")]);
    run(two, ("POST", "/photos"), "multipart/form-data; boundary=x", &[("--x", "")]);
    let wrong = [("{}", "header/content-type: must be application/x-www-form-urlencoded or multi")];
    run(two, ("POST", "/photos"), "application/json", &wrong);
}

#[test]
fn body_needed_only_for_json_with_a_schema() {
    let document = document(OLD);
    let validators = validators(&document);
    let needed = |index, kind: Option<&str>| validators.body_needed(index, kind.map(str::as_bytes));
    let yes = BodyNeeded::Yes { max_bytes: MAX_VALIDATED_BODY_BYTES };
    assert_eq!(needed(0, Some("application/json;charset=utf-8")), yes);
    assert_eq!(needed(0, Some("image/png")), BodyNeeded::No);
    assert_eq!(needed(0, None), BodyNeeded::No);
    assert_eq!(needed(1, Some("application/json")), BodyNeeded::No);
    assert_eq!(needed(9, Some("application/json")), BodyNeeded::No);
    let headers = |name: &str| (name == "content-type").then_some(&b"application/json"[..]);
    let request =
        RequestParts { path: "/pets", query: None, headers: &headers, body: Body::Unread };
    assert_eq!(validators.check(0, &request), Ok(()));
}

#[test]
fn check_ends_in_bounded_time_and_tells_a_bounded_number_of_things() {
    let hostile = r"
openapi: 3.1.0
info: {title: Hostile, version: '1'}
paths:
  /a: {post: {requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/A'}}}}, responses: {}}}
  /b: {post: {requestBody: {content: {application/json: {schema: {type: array, items: {type: string}}}}}, responses: {}}}
  /c: {post: {requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Self'}}}}, responses: {}}}
components:
  schemas:
    A: {type: array, items: {anyOf: [{$ref: '#/components/schemas/A'}, {$ref: '#/components/schemas/B'}]}}
    B: {type: array, minItems: 1, items: {anyOf: [{$ref: '#/components/schemas/B'}, {$ref: '#/components/schemas/A'}, {type: string, maxLength: 0}]}}
    Self: {$ref: '#/components/schemas/Self'}
";
    let nested = format!("{}7{}", "[".repeat(60), "]".repeat(60));
    run(hostile, ("POST", "/a"), "application/json", &[(&nested, "body: takes too long to check")]);
    let many = format!("[{}0]", "0,".repeat(5_000));
    let document = document(hostile);
    let headers = [("content-type", "application/json")];
    let operation = ("POST", "/b");
    let given = Given { operation, target: "/b", headers: &headers, body: Some(&many) };
    assert_eq!(found(check(&document, given)).len(), MAX_VIOLATIONS);
    run(hostile, ("POST", "/c"), "application/json", &[("[]", "")]);
}
