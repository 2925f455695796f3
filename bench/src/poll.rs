//! Readiness of sockets, numbered by the caller.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poll {
    /// Also asks the kernel to wake this thread when it is due and not up to 50 µs later.
    pub(crate) fn new() -> io::Result<Self> {
        rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(256) })
    }

    /// Reports whenever something can be read, until the socket is closed.
    pub(crate) fn add(&self, socket: impl AsFd, number: usize) -> io::Result<()> {
        let data = EventData::new_u64(number as u64);
        Ok(epoll::add(&self.epoll, socket, data, EventFlags::IN)?)
    }

    /// Numbers of sockets that can be read, into `ready`; waits until there is one or the time has passed.
    pub(crate) fn wait(&mut self, most: Duration, ready: &mut Vec<usize>) -> io::Result<()> {
        let most = Timespec::try_from(most).map_err(io::Error::other)?;
        self.events.clear();
        let waited =
            epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&most));
        match waited {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ready.clear();
        let number = |event: &Event| usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
        ready.extend(self.events.iter().map(number));
        Ok(())
    }
}
