//! The client's side of the gateway: what a connection speaks, and how requests and answers travel on it.

pub(crate) mod body;
pub(crate) mod deadline;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod source;
pub(crate) mod tunnel;
