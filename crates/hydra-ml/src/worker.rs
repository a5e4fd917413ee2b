//! The thread on which models run and files are read, so that no async thread waits for them.

use std::sync::mpsc;
use std::thread;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::Shared;

use crate::PersonalizeError;

type Job<C> = Box<dyn FnOnce(&mut C) + Send>;

/// Whether somebody still waits for what a job makes.
pub(crate) type Awaited<'a> = &'a dyn Fn() -> bool;

/// A handle to the thread that owns `C`. The thread ends when the last handle is dropped and the jobs are done.
pub(crate) struct Worker<C> {
    jobs: mpsc::Sender<Job<C>>,
    /// Done, with an error, when the thread has ended.
    ended: Shared<oneshot::Receiver<()>>,
}

impl<C> Clone for Worker<C> {
    fn clone(&self) -> Self {
        Self { jobs: self.jobs.clone(), ended: self.ended.clone() }
    }
}

impl<C: Send + 'static> Worker<C> {
    /// A thread that owns `cpu`, and tidies it up after every job, however that ended.
    pub(crate) fn start(cpu: C, tidy: fn(&mut C)) -> std::io::Result<Self> {
        let (sender, jobs) = mpsc::channel::<Job<C>>();
        let (alive, ended) = oneshot::channel();
        thread::Builder::new().name("hydra-personalizer".to_owned()).spawn(move || {
            // The last that is dropped, also where a job panics: who waits for it may count on `cpu` to be gone.
            let _alive: oneshot::Sender<()> = alive;
            let mut cpu = cpu;
            for job in jobs {
                job(&mut cpu);
                tidy(&mut cpu);
            }
        })?;
        Ok(Self { jobs: sender, ended: ended.shared() })
    }

    /// Drops this handle, and is done when the thread has ended and let go of what it owned.
    pub(crate) async fn end(self) {
        let Self { jobs, ended } = self;
        drop(jobs);
        // Nothing is ever sent: the sender is dropped at the end.
        let _ = ended.await;
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
        self.jobs.send(job).map_err(|_| PersonalizeError::Gone)?;
        receiver.await.map_err(|_| PersonalizeError::Gone)
    }
}
