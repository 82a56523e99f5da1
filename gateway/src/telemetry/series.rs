//! Metrics by the values of their labels, resolved once and bounded in number.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

/// Most label combinations of one family of metrics.
pub(super) const MAX_SERIES: usize = 2_000;
/// Label value of everything beyond.
const OVERFLOW: &str = "overflow";

/// Resolved series by their label values, bounded.
pub(super) struct SeriesCache<T> {
    known: RwLock<HashMap<Box<str>, Arc<T>, ahash::RandomState>>,
    /// The one series of all that are beyond the bound. Beside the others, so that counting under it writes nothing
    /// that is shared by all workers.
    overflow: OnceLock<Arc<T>>,
}

impl<T> Default for SeriesCache<T> {
    fn default() -> Self {
        Self { known: RwLock::default(), overflow: OnceLock::new() }
    }
}

impl<T> SeriesCache<T> {
    pub(super) fn get(&self, names: &[&str], make: impl Fn(&[&str]) -> T) -> Arc<T> {
        thread_local!(static KEY: RefCell<String> = const { RefCell::new(String::new()) });
        KEY.with_borrow_mut(|key| {
            key.clear();
            for name in names {
                // Writing to a `String` cannot fail.
                let _ = write!(key, "{name}\0");
            }
            {
                let known = self.known.read();
                if let Some(series) = known.get(key.as_str()) {
                    return Arc::clone(series);
                }
                if known.len() >= MAX_SERIES {
                    return self.beyond(names, make);
                }
            }
            let mut known = self.known.write();
            // Others may have filled it meanwhile.
            if known.len() >= MAX_SERIES && !known.contains_key(key.as_str()) {
                return self.beyond(names, make);
            }
            Arc::clone(known.entry(key.as_str().into()).or_insert_with(|| Arc::new(make(names))))
        })
    }

    fn beyond(&self, names: &[&str], make: impl Fn(&[&str]) -> T) -> Arc<T> {
        let overflow = || {
            let names: Vec<&str> = names.iter().map(|_| OVERFLOW).collect();
            Arc::new(make(&names))
        };
        Arc::clone(self.overflow.get_or_init(overflow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_beyond_the_bound_waits_for_nobody_who_reads() {
        let series = SeriesCache::<String>::default();
        for index in 0..MAX_SERIES {
            series.get(&[&format!("alias-{index}")], |names| names.concat());
        }
        let reading = series.known.read();
        let (done, counted) = std::sync::mpsc::channel();
        let series = &series;
        std::thread::scope(|scope| {
            scope.spawn(move || done.send(series.get(&["new"], |names| names.concat())));
            // The bound only keeps a failure from hanging; whoever wants to write waits for the reader for ever.
            let counted = counted.recv_timeout(std::time::Duration::from_secs(10));
            drop(reading);
            assert_eq!(counted.as_deref().map(String::as_str), Ok(OVERFLOW));
        });
    }
}
