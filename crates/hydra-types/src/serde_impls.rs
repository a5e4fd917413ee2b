//! Serialisation. What is read goes through the same constructors as what is made in code.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{Distance, Fingerprint, Generation, Record, RecordId, Score, Time, UserId};

/// As text: `Display` out, `FromStr` in. Numbers of 128 bits do not survive JSON readers.
macro_rules! as_text {
    ($($type:ty),+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )+};
}

/// As the number inside.
macro_rules! as_number {
    ($($type:ty: $number:ty, $read:expr, $write:expr;)+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $write(*self).serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $read(<$number>::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    )+};
}

as_text!(UserId, Fingerprint);

as_number! {
    RecordId: u64, |n| Ok::<_, std::convert::Infallible>(RecordId::new(n)), RecordId::get;
    Generation: u64, |n| Ok::<_, std::convert::Infallible>(Generation::new(n)), Generation::get;
    Time: i64, |n| Ok::<_, std::convert::Infallible>(Time::from_unix_millis(n)), Time::unix_millis;
    Score: f32, Score::new, Score::get;
    Distance: f32, Distance::new, Distance::get;
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Record", deny_unknown_fields)]
struct RecordFields {
    id: RecordId,
    time: Time,
    input: String,
    output: String,
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (input, output) = (self.input().to_owned(), self.output().to_owned());
        RecordFields { id: self.id(), time: self.time(), input, output }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let RecordFields { id, time, input, output } = RecordFields::deserialize(deserializer)?;
        Ok(Self::new(id, time, input, output))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_survives_json() {
        let user = UserId::new(u128::MAX - 1);
        let record = Record::new(RecordId::new(u64::MAX), Time::from_unix_millis(-5), " a ", "b\n");
        let all = (user, Fingerprint::new([0xab; 32]), record, Score::new(-1.5).unwrap(), Generation::FIRST);
        let json = serde_json::to_string(&all).unwrap();
        let back: (UserId, Fingerprint, Record, Score, Generation) = serde_json::from_str(&json).unwrap();
        assert_eq!(back, all);
    }

    #[test]
    fn what_no_constructor_takes_is_refused() {
        assert!(serde_json::from_str::<Distance>("-1.0").is_err());
        assert!(serde_json::from_str::<Score>("1e39").is_err());
        assert!(serde_json::from_str::<UserId>("\"alice\"").is_err());
    }
}
