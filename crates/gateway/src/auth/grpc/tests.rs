use super::{Answer, MESSAGE_MAX_BYTES, Reply, Status, frame, question, reply};
use crate::auth::envoy::Denied;
use crate::auth::protobuf::Writer;

fn denied() -> Answer {
    Answer::Denied(Denied { status: 401, ..Denied::default() })
}

fn asking() -> Vec<u8> {
    let mut writer = Writer::default();
    writer.message(1, |attributes| {
        attributes.message(4, |request| {
            request.message(2, |http| {
                http.bytes(2, b"GET");
                http.bytes(4, b"/items");
            });
        });
    });
    writer.finish()
}

#[test]
fn a_framed_question_gets_a_framed_answer() {
    let body = frame(&asking());
    let request = question(&body).expect("a question");
    assert_eq!((request.method, request.target), ("GET", "/items"));
    assert_eq!(reply(Ok(denied())), Reply { status: Status::Ok, body: frame(&denied().write()) });
    let refused = reply(Err(Status::Unauthenticated));
    assert_eq!(refused, Reply { status: Status::Unauthenticated, body: Vec::new() });
}

#[test]
fn what_is_no_question_is_never_decided() {
    let whole = frame(&asking());
    let two = [whole.clone(), whole.clone()].concat();
    let mut compressed = whole.clone();
    compressed[0] = 1;
    let mut strange = whole.clone();
    strange[0] = 2;
    let length = u32::try_from(MESSAGE_MAX_BYTES).expect("it fits") + 1;
    let large = [&[0][..], &length.to_be_bytes()].concat();
    let cases = [
        (Vec::new(), Status::InvalidArgument),
        (whole[..4].to_vec(), Status::InvalidArgument),
        (whole[..whole.len() - 1].to_vec(), Status::InvalidArgument),
        (two, Status::InvalidArgument),
        (strange, Status::InvalidArgument),
        (compressed, Status::Unimplemented),
        (large, Status::ResourceExhausted),
        (frame(b""), Status::InvalidArgument),
        (frame(b"garbage"), Status::InvalidArgument),
    ];
    for (body, status) in cases {
        assert_eq!(question(&body).err(), Some(status), "{body:x?}");
    }
}

#[test]
fn statuses_have_their_numbers() {
    let all = [
        Status::Ok,
        Status::InvalidArgument,
        Status::ResourceExhausted,
        Status::Unimplemented,
        Status::Unauthenticated,
    ];
    assert_eq!(all.map(Status::code), [0, 3, 8, 12, 16]);
    assert!(all.iter().all(|status| status.message().is_ascii()));
}
