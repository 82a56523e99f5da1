//! Counts connections and requests under way, and watches how many come at once.

use serde::{Deserialize, Serialize};

/// Connections and requests under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections open now.
    pub open: u64,
    /// Requests under way now: read and not answered to the end.
    pub under_way: u64,
    /// Requests since the watch began.
    pub watch: Watch,
}

/// What came until the backend was in order again. A watch begins with the backend, and anew when it is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Requests.
    pub requests: u64,
    /// Most of them under way at the same time.
    pub most_at_once: u64,
    /// A good answer reached its end: nothing counts any more.
    pub over: bool,
}

impl Traffic {
    pub(super) fn connected(&mut self) {
        self.accepted += 1;
        self.open += 1;
    }

    pub(super) fn disconnected(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    pub(super) fn begin(&mut self) {
        self.under_way += 1;
        if !self.watch.over {
            self.watch.requests += 1;
            self.watch.most_at_once = self.watch.most_at_once.max(self.under_way);
        }
    }

    pub(super) fn end(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    pub(super) fn answered_well(&mut self) {
        self.watch.over = true;
    }

    pub(super) fn watch_again(&mut self) {
        self.watch = Watch::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_counts_until_a_good_answer_and_anew_when_asked() {
        let mut traffic = Traffic::default();
        traffic.begin();
        traffic.begin();
        traffic.end();
        traffic.begin();
        assert_eq!(traffic.watch, Watch { requests: 3, most_at_once: 2, over: false });
        traffic.answered_well();
        traffic.begin();
        assert_eq!(traffic.watch, Watch { requests: 3, most_at_once: 2, over: true });
        traffic.watch_again();
        assert_eq!(traffic.watch, Watch::default());
        assert_eq!(traffic.under_way, 3);
    }
}
