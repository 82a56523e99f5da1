//! Identifiers that appear in events.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::{NoContext, Timestamp, Uuid};

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new time-ordered id for this moment.
            #[must_use]
            pub fn now() -> Self {
                Self(Uuid::now_v7())
            }

            /// A new id whose embedded timestamp is `ms` milliseconds since the Unix epoch.
            #[must_use]
            pub fn at_ms(ms: i64) -> Self {
                let ms = u64::try_from(ms).unwrap_or(0);
                let nanos = u32::try_from(ms % 1000).unwrap_or(0) * 1_000_000;
                Self(Uuid::new_v7(Timestamp::from_unix(NoContext, ms / 1000, nanos)))
            }

            /// Milliseconds since the Unix epoch embedded in the id; 0 for an id that is not a UUIDv7.
            #[must_use]
            pub fn unix_ms(&self) -> i64 {
                match self.0.get_timestamp() {
                    Some(at) => {
                        let (seconds, nanos) = at.to_unix();
                        i64::try_from(seconds).unwrap_or(0) * 1000 + i64::from(nanos) / 1_000_000
                    }
                    None => 0,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id! {
    /// One upstream attempt, one cache answer or one refusal: the primary key of the ledger (UUIDv7).
    ///
    /// Made once, before the upstream call. Its embedded timestamp is the event time, so recovered, final
    /// and corrected versions of one id always share sort key and partition in the ledger.
    EventId
}
uuid_id! {
    /// One client request (UUIDv7); every attempt made for it shares this id.
    RequestId
}
uuid_id! {
    /// One run of one gateway process (UUIDv7). Sequence numbers are gapless within a boot.
    BootId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_time_is_inside_the_id() {
        assert_eq!(EventId::at_ms(1_795_000_123_456).unix_ms(), 1_795_000_123_456);
    }

    #[test]
    fn an_id_is_written_as_a_plain_uuid() {
        let id = EventId::at_ms(1_795_000_000_000);
        let text = serde_json::to_string(&id).unwrap();
        assert_eq!(text, format!("\"{}\"", id.0));
        assert_eq!(serde_json::from_str::<EventId>(&text).unwrap(), id);
    }
}
