//! Time limits of one core's tasks, coarse and almost free: a limit is a number in a list that one timer looks
//! through, instead of a timer per connection that every byte would have to reset.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How often the list is looked through; a limit passes at most two ticks late, never early.
pub(crate) const TICK: Duration = Duration::from_millis(50);
const NEVER: u64 = u64::MAX;

#[derive(Default)]
pub(crate) struct Deadlines {
    tick: Cell<u64>,
    entries: RefCell<Entries>,
}

#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    free: Vec<usize>,
}

struct Entry {
    at: u64,
    waker: Option<Waker>,
}

/// One task's limit; a task has one at a time.
pub(crate) struct Deadline {
    of: Rc<Deadlines>,
    index: usize,
}

impl Deadlines {
    pub(crate) fn add(self: &Rc<Self>) -> Deadline {
        let mut entries = self.entries.borrow_mut();
        let entry = Entry { at: NEVER, waker: None };
        let index = if let Some(index) = entries.free.pop() {
            entries.list[index] = entry;
            index
        } else {
            entries.list.push(entry);
            entries.list.len() - 1
        };
        Deadline { of: self.clone(), index }
    }

    /// How many ticks have passed.
    pub(crate) fn now(&self) -> u64 {
        self.tick.get()
    }

    /// The tick by which this long from now has certainly passed.
    pub(crate) fn after(&self, wait: Duration) -> u64 {
        let ticks = wait.as_millis().div_ceil(TICK.as_millis()) + 1;
        self.tick.get().saturating_add(u64::try_from(ticks).unwrap_or(NEVER))
    }

    /// Called every [`TICK`]: wakes the tasks whose limit has passed.
    pub(crate) fn advance(&self) {
        let tick = self.tick.get() + 1;
        self.tick.set(tick);
        self.wake(|entry| entry.at <= tick);
    }

    /// Wakes every task, so that it sees that the process is about to stop.
    pub(crate) fn wake_all(&self) {
        self.wake(|_| true);
    }

    fn wake(&self, which: impl Fn(&Entry) -> bool) {
        // A woken task may come back at once, so that nothing is borrowed while it is told.
        let mut due = Vec::new();
        for entry in &mut self.entries.borrow_mut().list {
            if which(entry) {
                due.extend(entry.waker.take());
            }
        }
        due.into_iter().for_each(Waker::wake);
    }
}

impl Deadline {
    /// The limit passes this long from now.
    pub(crate) fn set(&self, wait: Duration) {
        let at = self.of.after(wait);
        self.entry(|entry, _| entry.at = at);
    }

    /// The limit passes at this tick at the latest, until it is set anew.
    pub(crate) fn cap(&self, at: u64) {
        self.entry(|entry, _| entry.at = entry.at.min(at));
    }

    /// Whether this tick has come.
    pub(crate) fn is_past(&self, at: u64) -> bool {
        self.of.now() >= at
    }

    /// Ready when the limit has passed.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.entry(|entry, tick| {
            if entry.at <= tick {
                return Poll::Ready(());
            }
            if !entry.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                entry.waker = Some(cx.waker().clone());
            }
            Poll::Pending
        })
    }

    fn entry<T>(&self, with: impl FnOnce(&mut Entry, u64) -> T) -> T {
        with(&mut self.of.entries.borrow_mut().list[self.index], self.of.tick.get())
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        let mut entries = self.of.entries.borrow_mut();
        entries.list[self.index] = Entry { at: NEVER, waker: None };
        entries.free.push(self.index);
    }
}

#[cfg(test)]
mod tests;
