//! Processor time, and the report.

use rustix::time::{ClockId, clock_gettime};

/// Named figures in the order in which they were taken.
#[derive(Default)]
pub(crate) struct Report(Vec<(String, f64)>);

impl Report {
    pub(crate) fn add(&mut self, name: impl Into<String>, value: f64) {
        self.0.push((name.into(), value));
    }

    /// One object.
    pub(crate) fn to_json(&self) -> String {
        let object: serde_json::Map<_, _> =
            self.0.iter().map(|(name, value)| (name.clone(), (*value).into())).collect();
        serde_json::Value::Object(object).to_string()
    }

    pub(crate) fn print(&self) {
        for (name, value) in &self.0 {
            println!("{name:<40} {value:>14.4}");
        }
    }
}

/// Milliseconds of this thread's processor time that `work` takes.
pub(crate) fn cpu_ms(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        std::time::Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
    };
    let before = now();
    work();
    (now() - before).as_secs_f64() * 1e3
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / f64::from(u32::try_from(values.len()).unwrap())
}
