//! Values of traits that cannot be meant.

use crate::traits::{Budget, CacheMarks, Traits};

/// Highest temperature of any scale.
const HIGHEST_TEMPERATURE: f64 = 5.0;
/// Longest name of a tool that any server takes, characters.
const LONGEST_NAME: u32 = 1_024;

impl Traits {
    /// Fields whose values cannot be meant, by their paths, and why.
    #[must_use]
    pub fn mistakes(&self) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        let mut check = |fine: bool, path: &'static str, message: &'static str| {
            if !fine {
                found.push((path, message));
            }
        };
        let above = |most: Option<u64>| most != Some(0);
        check(above(self.output.most), "output.most", "must be above 0; leave it out for no bound");
        check(above(self.output.most_unstreamed), "output.most_unstreamed", "must be above 0");
        check(
            above(self.output.window),
            "output.window",
            "must be above 0; leave it out where it is not known",
        );
        let temperature = self.sampling.temperature_most;
        let fine = temperature > 0.0 && temperature <= HIGHEST_TEMPERATURE;
        check(fine, "sampling.temperature_most", "must be above 0 and up to 5");
        let fine = self.sampling.top_p_least_thinking.is_none_or(|least| (0.0..=1.0).contains(&least));
        check(fine, "sampling.top_p_least_thinking", "must be from 0 to 1");
        let fine = self.reasoning.budget.is_none_or(Budget::is_fine);
        check(fine, "reasoning.budget", "`most` must not be below `least`");
        let fine = self.reasoning.efforts.is_sorted_by(|a, b| a < b);
        check(fine, "reasoning.efforts", "must go from the least to the most, each once");
        let fine = (1..=LONGEST_NAME).contains(&self.tools.name_most);
        check(fine, "tools.name_most", "must be from 1 to 1024");
        let fine = self.cache.marks == CacheMarks::None || self.cache.most > 0;
        check(fine, "cache.most", "must be above 0 where there are marks");
        let fine = self.media.image_types.iter().all(|kind| kind.starts_with("image/"));
        check(fine, "media.image_types", "must be media types like image/png");
        found
    }
}

impl Budget {
    fn is_fine(self) -> bool {
        self.most.is_none_or(|most| most >= self.least)
    }
}
