//! Reading an upstream's answer head: strict about framing, because two readings of one answer are an attack.

use std::mem::MaybeUninit;

use super::Failure;
use crate::buffer::Buffer;
use crate::fields::{Field, Fields, Name, parse_length};

/// Largest answer head.
pub(crate) const HEAD_MAX_BYTES: usize = 64 * 1024;
/// Most header fields in an answer.
pub(crate) const HEAD_MAX_FIELDS: usize = 100;

/// Most interim answers before the final one.
const INTERIM_MAX: u32 = 16;

/// What the request lets an answer be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Content,
    /// HEAD: no body follows, whatever is announced.
    Head,
    /// The upstream may agree to speak WebSocket.
    WebSocket,
}

/// How the end of the answer's body is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Framing {
    #[default]
    None,
    Length(u64),
    Chunked,
    UntilClose,
    /// The connection speaks another protocol from here on.
    Switched,
}

/// One answer's head. Kept with its connection, so that a reused one allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub status: u16,
    pub fields: Fields,
    pub framing: Framing,
    pub keep_alive: bool,
    /// The announced length, also where no body follows it.
    pub length: Option<u64>,
    interims: u32,
}

impl Head {
    /// A head without fields.
    pub(crate) fn of_status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// Takes a final answer head from the front of `input`; `false` = more bytes are needed. Interim answers are
    /// skipped.
    pub(crate) fn parse(&mut self, input: &mut Buffer, asked: Asked) -> Result<bool, Failure> {
        loop {
            if input.is_empty() {
                return Ok(false);
            }
            let data = input.data();
            let mut fields = [const { MaybeUninit::uninit() }; HEAD_MAX_FIELDS];
            let mut answer = httparse::Response::new(&mut []);
            let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
                &mut answer,
                data,
                &mut fields,
            );
            let length = match parsed {
                Ok(httparse::Status::Complete(length)) => length,
                Ok(httparse::Status::Partial) if data.len() < HEAD_MAX_BYTES => return Ok(false),
                Ok(httparse::Status::Partial) | Err(_) => return Err(Failure::Garbage),
            };
            let code = answer.code.ok_or(Failure::Garbage)?;
            let switches = code == 101 && asked == Asked::WebSocket;
            if !(100..=999).contains(&code) || code == 101 && !switches {
                return Err(Failure::Garbage);
            }
            if code < 200 && !switches {
                self.interims += 1;
                if self.interims > INTERIM_MAX {
                    return Err(Failure::Garbage);
                }
                input.consume(length);
                continue;
            }
            self.interims = 0;
            let http11 = answer.version == Some(1);
            self.status = code;
            self.fields.take(&data[..length], answer.headers);
            input.consume(length);
            if switches {
                self.switch(http11)?;
            } else {
                self.set_framing(http11, asked == Asked::Head)?;
            }
            // What an upgrade was asked of may not be asked anything else.
            self.keep_alive &= asked != Asked::WebSocket;
            return Ok(true);
        }
    }

    /// The upstream says that it speaks WebSocket now; it must say so in full.
    fn switch(&mut self, http11: bool) -> Result<(), Failure> {
        let fields = &self.fields;
        let protocol = fields.only(Name::Upgrade).unwrap_or_default();
        let agreed = http11
            && protocol.eq_ignore_ascii_case(b"websocket")
            && fields.connection_says("upgrade");
        (self.framing, self.keep_alive, self.length) = (Framing::Switched, false, None);
        if agreed { Ok(()) } else { Err(Failure::Garbage) }
    }

    fn set_framing(&mut self, http11: bool, is_head: bool) -> Result<(), Failure> {
        let fields = &self.fields;
        self.length = match (fields.has(Name::ContentLength), fields.only(Name::ContentLength)) {
            (false, _) => None,
            (true, value) => Some(value.and_then(parse_length).ok_or(Failure::Garbage)?),
        };
        let chunked = fields.has(Name::TransferEncoding);
        if chunked {
            let coding = fields.only(Name::TransferEncoding).unwrap_or_default();
            if !coding.eq_ignore_ascii_case(b"chunked") || self.length.is_some() {
                return Err(Failure::Garbage);
            }
        }
        let bodiless = matches!(self.status, 204 | 304);
        self.framing = match self.length {
            _ if is_head || bodiless => Framing::None,
            _ if chunked => Framing::Chunked,
            None => Framing::UntilClose,
            Some(0) => Framing::None,
            Some(length) => Framing::Length(length),
        };
        if bodiless {
            self.length = None;
        }
        let closes = fields.has(Name::Connection) && fields.connection_says("close");
        self.keep_alive = http11 && self.framing != Framing::UntilClose && !closes;
        Ok(())
    }

    /// The fields that a client may see: without those of the connection, the framing, and what only we say.
    pub(crate) fn passing(&self) -> impl Iterator<Item = Field<'_>> {
        let named = self.fields.has(Name::Connection);
        self.fields.iter().filter(move |field| {
            let ours = matches!(
                field.id,
                Name::ContentLength | Name::Keytoll | Name::RateLimit | Name::RequestId
            );
            let of_connection = field.id.is_hop_by_hop()
                || named
                    && self
                        .fields
                        .of_connection()
                        .any(|name| field.name.eq_ignore_ascii_case(name));
            !ours && !of_connection
        })
    }
}
