//! From async to blocking, in one call.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Runs `future` to its end on this thread, which sleeps while there is nothing to do.
///
/// No runtime is needed: the futures of this crate and of the clients built on it wake whoever waits. Inside an async
/// runtime, `.await` instead: a blocked worker serves nobody else.
///
/// ```
/// use hydra_llm::{LlmClient, Message, Request, ScriptedClient, block_on};
///
/// let client = ScriptedClient::answering(["drama"]);
/// let answer = block_on(client.complete(Request::new(vec![Message::user("a rainy day film?")])))?;
/// assert_eq!(answer.text(), "drama");
/// # Ok::<(), hydra_llm::LlmError>(())
/// ```
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let thread = Arc::new(ThreadWaker::here());
    let waker = Waker::from(Arc::clone(&thread));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread.wait(),
        }
    }
}

/// Wakes a thread, and remembers that it did.
pub(crate) struct ThreadWaker {
    thread: Thread,
    woken: AtomicBool,
}

impl ThreadWaker {
    /// For the thread that calls.
    pub(crate) fn here() -> Self {
        Self { thread: thread::current(), woken: AtomicBool::new(false) }
    }

    /// Whether there was a wake-up since the last one that was taken.
    pub(crate) fn take_wake_up(&self) -> bool {
        self.woken.swap(false, Ordering::Acquire)
    }

    /// Waits for a wake-up and takes it. Only on the thread that it was made for.
    pub(crate) fn wait(&self) {
        while !self.take_wake_up() {
            thread::park();
        }
    }
}

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
