//! What an error of a backend means, in whatever disguise it comes. Pure; the table of its tests is the list.
//!
//! Status and code are believed first. Texts decide where providers have no code: an empty account is a 400 of
//! Anthropic's, a wrong key a 400 of Google's and xAI's. A text that decides about a backend's health must stand in the
//! provider's own words, before anything that it may quote of a request: a caller must not be able to open a circuit.

use tollgate_families::overflow::is_prompt_too_long;

use crate::error::{ProviderError, ProviderErrorKind as Kind};

/// What an error of a backend means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// The request is at fault; it would be refused anywhere.
    Request,
    /// The account is asked too often; another one may be free.
    RateLimited,
    /// The account has no money or has spent what it may. Asking again does not help; another account does.
    NoMoney,
    /// The account's key or signature is refused.
    KeyRefused,
    /// The provider has no capacity now.
    Overloaded,
    /// The prompt does not fit the model's context.
    TooLong,
    /// A filter of the provider refuses the content.
    Filtered,
    /// The model is not to be had here: unknown, gone, or not for this account, region or country. Other models of the
    /// backend are as well as before.
    ModelUnknown,
    /// The provider failed.
    Failed,
}

/// An error of a backend, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendError {
    /// HTTP status: of the answer, or the one that the error stands for where the answer said 200.
    pub status: u16,
    /// What it says.
    pub error: ProviderError,
    /// What it means.
    pub meaning: Meaning,
}

impl BackendError {
    /// Of an answer with this status. An error inside a success has the status that it names itself.
    #[must_use]
    pub fn new(status: u16, error: ProviderError) -> Self {
        let status = if status >= 300 { status } else { error.status.unwrap_or_else(|| error.kind.status()) };
        let meaning = Meaning::of(status, &error);
        Self { status, error, meaning }
    }

    /// Whether the provider gave a reason.
    #[must_use]
    pub fn has_reason(&self) -> bool {
        !is_without_reason(&self.error.message)
    }
}

const NO_MONEY_CODES: [&str; 9] = [
    "insufficient_quota",
    "billing_error",
    "exceeded_current_quota_error",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_balance",
    "arrearage",
    "insufficient_credits",
    "1113",
];
const NO_MONEY_WORDS: [&str; 10] = [
    "credit balance is too low",
    "insufficient balance",
    "insufficient credits",
    "insufficient funds",
    "specified api usage limits",
    "spend limit",
    "spending limit",
    "enable billing",
    "billing is not active",
    "check your plan and billing",
];
const KEY_WORDS: [&str; 8] = [
    "incorrect api key",
    "invalid api key",
    "invalid api-key",
    "api key not valid",
    "api key expired",
    "api key is invalid",
    "security token included in the request is",
    "invalid authentication",
];
/// Of a 403: what speaks of the account that the gateway shows itself with.
const ACCOUNT_WORDS: [&str; 11] = [
    "api key",
    "api-key",
    "apikey",
    "credential",
    "signature",
    "token",
    "not authorized to perform",
    "permission denied",
    "has not been used in project",
    "account is",
    "authenticat",
];
const OVERLOADED_CODES: [&str; 4] =
    ["server_is_overloaded", "slow_down", "overloaded_error", "resource_unavailable"];
const OVERLOADED_WORDS: [&str; 4] =
    ["service tier capacity exceeded", "model is overloaded", "resource unavailable", "currently overloaded"];
const FILTER_CODES: [&str; 7] = [
    "content_policy_violation",
    "content_filter",
    "data_inspection_failed",
    "datainspectionfailed",
    "responsibleaipolicyviolation",
    "moderation_blocked",
    "1301",
];
const FILTER_WORDS: [&str; 5] = [
    "content exists risk",
    "inappropriate content",
    "content management policy",
    "content filtering policy",
    "rejected as a result of our safety system",
];
const MODEL_CODES: [&str; 5] = [
    "model_not_found",
    "deploymentnotfound",
    "model_not_available",
    "unsupported_country_region_territory",
    "invalid_model",
];
const MODEL_WORDS: [&str; 6] = [
    "provided model identifier is invalid",
    "on-demand throughput isn",
    "location is not supported",
    "access to the model with the specified model id",
    "model is not available in your",
    "reached the end of its life",
];

impl Meaning {
    /// What an error that came with `status` means.
    #[must_use]
    pub fn of(status: u16, error: &ProviderError) -> Self {
        let code = error.code.as_deref().unwrap_or_default().to_ascii_lowercase();
        let message = error.message.to_ascii_lowercase();
        let said = Said {
            status,
            kind: error.kind,
            waits: error.retry_after.is_some(),
            code: &code,
            message: &message,
        };
        said.of_account()
            .or_else(|| said.of_load())
            .or_else(|| said.of_content())
            .unwrap_or_else(|| said.by_status())
    }

    /// Whether another backend may do what was asked.
    #[must_use]
    pub const fn fails_over(self) -> bool {
        match self {
            Self::RateLimited
            | Self::NoMoney
            | Self::KeyRefused
            | Self::Overloaded
            | Self::ModelUnknown
            | Self::Failed => true,
            Self::Request | Self::TooLong | Self::Filtered => false,
        }
    }
}

/// What is said, in small letters.
struct Said<'a> {
    status: u16,
    kind: Kind,
    waits: bool,
    code: &'a str,
    message: &'a str,
}

impl Said<'_> {
    /// The gateway's own account.
    fn of_account(&self) -> Option<Meaning> {
        let own = own_words(self.message);
        let refuses = matches!(self.status, 400..=403 | 429);
        let is_speed = self.kind == Kind::RateLimit && self.waits;
        if self.status == 402
            || NO_MONEY_CODES.contains(&self.code)
            || (refuses && !is_speed && has_any(own, &NO_MONEY_WORDS))
        {
            return Some(Meaning::NoMoney);
        }
        let is_key = self.kind == Kind::Authentication
            || self.status == 401
            || self.code == "invalid_api_key"
            || (refuses && has_any(own, &KEY_WORDS));
        is_key.then_some(Meaning::KeyRefused)
    }

    /// How busy the provider is.
    fn of_load(&self) -> Option<Meaning> {
        let own = own_words(self.message);
        let is_busy = self.kind == Kind::RateLimit || self.status == 429;
        let is_overloaded = self.kind == Kind::Overloaded
            || OVERLOADED_CODES.contains(&self.code)
            || ((is_busy || self.status >= 500) && has_any(own, &OVERLOADED_WORDS));
        if is_overloaded {
            return Some(Meaning::Overloaded);
        }
        // Groq says with 413 that a request is above what the account may ask for in a minute.
        let is_above_rate = self.status == 413 && self.message.contains("tokens per minute");
        (is_busy || is_above_rate).then_some(Meaning::RateLimited)
    }

    /// The prompt, or the model that it is for.
    fn of_content(&self) -> Option<Meaning> {
        if is_prompt_too_long(self.status, Some(self.code), self.message) {
            return Some(Meaning::TooLong);
        }
        let refuses = matches!(self.status, 400 | 403 | 422 | 451);
        if FILTER_CODES.contains(&self.code) || (refuses && has_any(self.message, &FILTER_WORDS)) {
            return Some(Meaning::Filtered);
        }
        let is_unknown = self.status == 404
            || self.kind == Kind::NotFound
            || MODEL_CODES.contains(&self.code)
            || (refuses && has_any(own_words(self.message), &MODEL_WORDS));
        is_unknown.then_some(Meaning::ModelUnknown)
    }

    fn by_status(&self) -> Meaning {
        match (self.status, self.kind) {
            (403, _) | (_, Kind::Permission) => {
                // Without a word it is the account that is not wanted.
                let is_silent = self.code.is_empty() && is_without_reason(self.message);
                let own = own_words(self.message);
                // Google names the permission that the account lacks, in quotes.
                if is_silent || own.starts_with("permission ") || has_any(own, &ACCOUNT_WORDS) {
                    Meaning::KeyRefused
                } else {
                    Meaning::ModelUnknown
                }
            }
            (501 | 505, _) => Meaning::Request,
            (408 | 424 | 499, _) | (500.., _) | (_, Kind::Server | Kind::Timeout) => Meaning::Failed,
            _ => Meaning::Request,
        }
    }
}

/// Whether a decoder found nothing to quote.
fn is_without_reason(message: &str) -> bool {
    message.is_empty() || message.contains("gave no reason") || message.contains("provider answered with")
}

fn has_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|words| text.contains(words))
}

/// What stands before anything that may be quoted of a request: before a quote mark that opens, and before JSON.
fn own_words(message: &str) -> &str {
    let mut before = ' ';
    for (at, letter) in message.char_indices() {
        let opens = matches!(letter, '"' | '`' | '{' | '[')
            || (matches!(letter, '\'' | '“' | '‘') && !before.is_alphanumeric());
        if opens {
            return &message[..at];
        }
        before = letter;
    }
    message
}

#[cfg(test)]
#[path = "meaning_tests.rs"]
mod tests;
