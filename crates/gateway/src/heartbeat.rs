//! Whether the other end of an HTTP/2 connection is still there: one that is silent while it has streams is asked by
//! a ping, and one that does not answer is dead. Between machines that vanish no reset ever comes.

use std::task::{Context, Poll};
use std::time::Duration;

use h2::{Ping, PingPong};

use crate::server::deadline::Deadline;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Silence before it is asked.
    pub silence: Duration,
    /// How long it may take to answer.
    pub answer: Duration,
}

/// Silence after an answer before it is asked again. Servers of gRPC take more than three pings within five minutes
/// of their own silence for an attack.
const AGAIN: Duration = Duration::from_secs(310);
const NEVER: Duration = Duration::MAX;

pub(crate) struct Heartbeat {
    /// Absent if somebody else has the connection's pings, which nobody does.
    pings: Option<PingPong>,
    patience: Patience,
    deadline: Deadline,
    /// Bytes heard so far.
    heard: u64,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// There is nothing that could be waited for.
    Idle,
    Listening,
    Asked,
}

impl Heartbeat {
    pub(crate) fn new(pings: Option<PingPong>, patience: Patience, deadline: Deadline) -> Self {
        deadline.set(NEVER);
        Self { pings, patience, deadline, heard: 0, stage: Stage::Idle }
    }

    /// Ready when the peer is dead. `heard` are the bytes that have come so far; `busy`: there are streams.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, heard: u64, busy: bool) -> Poll<()> {
        let Some(pings) = &mut self.pings else { return Poll::Pending };
        let has_spoken = std::mem::replace(&mut self.heard, heard) != heard;
        loop {
            match self.stage {
                Stage::Asked => {
                    if pings.poll_pong(cx).is_ready() {
                        self.stage = Stage::Listening;
                        self.deadline.set(AGAIN);
                        return self.deadline.poll(cx);
                    }
                    if has_spoken {
                        self.deadline.set(self.patience.answer);
                    }
                    return self.deadline.poll(cx);
                }
                Stage::Idle if busy => {
                    self.stage = Stage::Listening;
                    self.deadline.set(self.patience.silence);
                }
                Stage::Idle => return Poll::Pending,
                Stage::Listening if !busy => {
                    self.stage = Stage::Idle;
                    self.deadline.set(NEVER);
                }
                Stage::Listening => {
                    if has_spoken {
                        self.deadline.set(self.patience.silence);
                    }
                    if self.deadline.poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    // An error means that the connection is ending, which it says itself.
                    if pings.send_ping(Ping::opaque()).is_err() {
                        self.pings = None;
                        return Poll::Pending;
                    }
                    self.stage = Stage::Asked;
                    self.deadline.set(self.patience.answer);
                }
            }
        }
    }
}
