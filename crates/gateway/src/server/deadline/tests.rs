use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Wake;

use super::*;

#[derive(Default)]
struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_limit_passes_after_its_time_and_wakes_its_task_once() {
    let deadlines = Rc::new(Deadlines::default());
    let (early, late) = (deadlines.add(), deadlines.add());
    let woken = Arc::new(Count::default());
    let waker = Waker::from(woken.clone());
    let mut cx = Context::from_waker(&waker);
    early.set(TICK * 2);
    late.set(TICK * 10);
    assert!(early.poll(&mut cx).is_pending() && late.poll(&mut cx).is_pending());
    deadlines.advance();
    deadlines.advance();
    assert_eq!((woken.0.load(Ordering::SeqCst), early.poll(&mut cx)), (0, Poll::Pending));
    deadlines.advance();
    assert_eq!((woken.0.load(Ordering::SeqCst), early.poll(&mut cx)), (1, Poll::Ready(())));
    deadlines.advance();
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    drop(early);
    let again = deadlines.add();
    assert!(again.poll(&mut cx).is_pending(), "a place that is used again starts without a limit");
}
