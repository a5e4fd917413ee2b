//! Days as files write them.

use jiff::civil::{Date, date};

/// Midnight in UTC of a day that is written `YYYY-MM-DD`, in milliseconds since 1970; none for anything else.
pub(crate) fn midnight_millis(day: &str) -> Option<i64> {
    let day: Date = Some(day).filter(|day| day.len() == "YYYY-MM-DD".len())?.parse().ok()?;
    let days = day.since(date(1970, 1, 1)).ok()?.get_days();
    Some(i64::from(days) * MILLIS_A_DAY)
}

const MILLIS_A_DAY: i64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::midnight_millis;

    #[test]
    fn a_day_is_read_and_nothing_else() {
        assert_eq!(midnight_millis("1970-01-02"), Some(86_400_000));
        assert_eq!(midnight_millis("1969-12-31"), Some(-86_400_000));
        for day in ["", "2020-1-1", "2020-02-30", "2020-01-01T00:00", "20200101", "today00000"] {
            assert_eq!(midnight_millis(day), None, "{day}");
        }
    }
}
