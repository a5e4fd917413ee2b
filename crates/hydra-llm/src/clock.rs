//! Time as an argument: the machine's, or a simulated one in which nobody has to wait.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use crate::BoxFuture;
use crate::blocking::ThreadWaker;

/// What time it is, and how to wait.
pub trait Clock: Send + Sync {
    /// The time since some fixed moment. Never goes back.
    fn now(&self) -> Duration;

    /// Is done when `duration` has passed since this call.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

impl<T: Clock + ?Sized> Clock for Arc<T> {
    fn now(&self) -> Duration {
        (**self).now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        (**self).sleep(duration)
    }
}

/// The time of this machine. Sleeps work under any executor: one thread of the process, started by the first sleep,
/// wakes them all.
#[derive(Clone, Copy, Default, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let until = Instant::now().checked_add(duration);
        Box::pin(async move {
            match until {
                // A moment that the machine cannot name never comes.
                None => std::future::pending().await,
                Some(until) => {
                    let woken = AlarmThread::get().wake_at(until);
                    woken.await.expect("the alarm thread never ends");
                }
            }
        })
    }
}

/// A simulated time for tests and dry runs: it stands still until [`block_on`](Self::block_on) has nothing else to do,
/// and then jumps to the next moment for which someone waits.
///
/// ```
/// use std::time::Duration;
/// use hydra_llm::{Clock, VirtualClock};
///
/// let clock = VirtualClock::new();
/// clock.block_on(clock.sleep(Duration::from_secs(3600)));
/// assert_eq!(clock.now(), Duration::from_secs(3600));
/// ```
#[derive(Clone, Default)]
pub struct VirtualClock {
    state: Arc<Mutex<VirtualState>>,
}

impl VirtualClock {
    /// A clock that shows zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `future` to its end on this thread. Whenever it waits and nothing has woken it, time jumps to the next
    /// sleeper; while there is none, the thread waits for a wake-up from another thread.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let thread = Arc::new(ThreadWaker::here());
        let waker = Waker::from(Arc::clone(&thread));
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return value;
            }
            while !thread.take_wake_up() {
                if !self.jump() {
                    thread.wait();
                    break;
                }
            }
        }
    }

    /// Moves time to the earliest sleeper and wakes it; false if nobody sleeps.
    fn jump(&self) -> bool {
        let mut state = self.lock();
        let Some(((at, _), waker)) = state.sleepers.pop_first() else {
            return false;
        };
        state.now = state.now.max(at);
        drop(state);
        waker.wake();
        true
    }

    fn lock(&self) -> MutexGuard<'_, VirtualState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Duration {
        self.lock().now
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut state = self.lock();
        state.last_id += 1;
        Box::pin(VirtualSleep { clock: self.clone(), key: (state.now.saturating_add(duration), state.last_id) })
    }
}

#[derive(Default)]
struct VirtualState {
    now: Duration,
    last_id: u64,
    /// By time, and among equal times by the order of the calls.
    sleepers: BTreeMap<(Duration, u64), Waker>,
}

struct VirtualSleep {
    clock: VirtualClock,
    key: (Duration, u64),
}

impl Future for VirtualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.lock();
        if state.now >= self.key.0 {
            return Poll::Ready(());
        }
        state.sleepers.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for VirtualSleep {
    fn drop(&mut self) {
        self.clock.lock().sleepers.remove(&self.key);
    }
}

/// The thread that wakes the sleepers of [`SystemClock`].
struct AlarmThread {
    alarms: Mutex<BinaryHeap<Reverse<Alarm>>>,
    earlier: Condvar,
}

impl AlarmThread {
    fn get() -> &'static Self {
        static THREAD: OnceLock<AlarmThread> = OnceLock::new();
        static RUNNING: OnceLock<()> = OnceLock::new();
        let thread = THREAD.get_or_init(|| Self { alarms: Mutex::default(), earlier: Condvar::new() });
        RUNNING.get_or_init(|| {
            std::thread::Builder::new()
                .name("hydra-llm-alarm".into())
                .spawn(|| thread.run())
                .expect("the system gives one more thread");
        });
        thread
    }

    fn wake_at(&self, at: Instant) -> oneshot::Receiver<()> {
        let (wake, woken) = oneshot::channel();
        let mut alarms = self.lock();
        // Sleepers that gave up would else stay until their time comes.
        if alarms.len() >= 64 && alarms.len().is_power_of_two() {
            alarms.retain(|Reverse(alarm)| !alarm.wake.is_canceled());
        }
        alarms.push(Reverse(Alarm { at, wake }));
        drop(alarms);
        self.earlier.notify_one();
        woken
    }

    fn run(&self) {
        let mut alarms = self.lock();
        loop {
            let now = Instant::now();
            while alarms.peek().is_some_and(|Reverse(alarm)| alarm.at <= now) {
                if let Some(Reverse(alarm)) = alarms.pop() {
                    // Nobody listens any more: fine.
                    let _ = alarm.wake.send(());
                }
            }
            alarms = match alarms.peek().map(|Reverse(alarm)| alarm.at) {
                Some(at) => {
                    let pause = at.saturating_duration_since(now);
                    self.earlier.wait_timeout(alarms, pause).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.earlier.wait(alarms).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, BinaryHeap<Reverse<Alarm>>> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Alarm {
    at: Instant,
    wake: oneshot::Sender<()>,
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Alarm {}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::join3;

    use super::*;
    use crate::block_on;

    #[test]
    fn simulated_sleepers_wake_in_the_order_of_their_times() {
        let clock = VirtualClock::new();
        let order = Mutex::new(Vec::new());
        let sleeper = |seconds| {
            let (clock, order) = (&clock, &order);
            async move {
                clock.sleep(Duration::from_secs(seconds)).await;
                order.lock().unwrap().push((seconds, clock.now().as_secs()));
            }
        };
        clock.block_on(join3(sleeper(9), sleeper(2), sleeper(5)));
        assert_eq!(*order.lock().unwrap(), [(2, 2), (5, 5), (9, 9)]);
    }

    #[test]
    fn a_sleeper_that_gave_up_does_not_move_time() {
        let clock = VirtualClock::new();
        let mut long = clock.sleep(Duration::from_secs(50));
        clock.block_on(async {
            assert!((&mut long).now_or_never().is_none());
            drop(long);
            clock.sleep(Duration::from_secs(1)).await;
        });
        assert_eq!(clock.now(), Duration::from_secs(1));
    }

    #[test]
    fn a_wake_up_from_another_thread_is_waited_for() {
        let (send, receive) = oneshot::channel();
        let thread = std::thread::spawn(move || send.send(7).unwrap());
        assert_eq!(VirtualClock::new().block_on(receive), Ok(7));
        thread.join().unwrap();
    }

    #[test]
    fn real_sleeps_end_in_order_and_not_early() {
        let clock = SystemClock;
        let before = Instant::now();
        let millis = |n| clock.sleep(Duration::from_millis(n));
        block_on(join3(millis(4), millis(2), millis(0)));
        assert!(before.elapsed() >= Duration::from_millis(4));
    }
}
