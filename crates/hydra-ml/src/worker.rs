//! The thread on which models run and files are read, so that no async thread waits for them.

use std::sync::mpsc;
use std::thread;

use futures_channel::oneshot;

use crate::PersonalizeError;

type Job<C> = Box<dyn FnOnce(&mut C) + Send>;

/// Whether somebody still waits for what a job makes.
pub(crate) type Awaited<'a> = &'a dyn Fn() -> bool;

/// A handle to the thread that owns `C`. The thread ends when the last handle is dropped.
pub(crate) struct Worker<C>(mpsc::Sender<Job<C>>);

impl<C> Clone for Worker<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C: Send + 'static> Worker<C> {
    /// A thread that owns `cpu`.
    pub(crate) fn start(mut cpu: C) -> std::io::Result<Self> {
        let (sender, jobs) = mpsc::channel::<Job<C>>();
        thread::Builder::new().name("hydra-personalizer".to_owned()).spawn(move || {
            for job in jobs {
                job(&mut cpu);
            }
        })?;
        Ok(Self(sender))
    }

    /// Runs `job` there. Dropping the future before it began gives the job up; one that has begun can ask whether it is
    /// still awaited.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut C, Awaited<'_>) -> T + Send + 'static,
    ) -> Result<T, PersonalizeError> {
        let (sender, receiver) = oneshot::channel();
        let job: Job<C> = Box::new(move |cpu| {
            if !sender.is_canceled() {
                let made = job(cpu, &|| !sender.is_canceled());
                // Whoever asked may be gone by now: then nobody misses the answer.
                let _ = sender.send(made);
            }
        });
        self.0.send(job).map_err(|_| PersonalizeError::Gone)?;
        receiver.await.map_err(|_| PersonalizeError::Gone)
    }
}
