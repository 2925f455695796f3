//! The gateway in process: real sockets, a recording upstream, records and a store held in memory.

mod cache;
mod calls;
mod credentials;
mod entry;
mod events;
mod faults;
mod http2;
mod http2_frames;
mod http2_upstream;
mod identity;
mod leavers;
mod limits;
mod matrix;
mod mutations;
mod policies;
mod running;
mod streams;
mod strict;
pub(crate) mod support;
mod traces;
mod upstreams;
mod verification;
mod websocket;
