//! What is kept from one configuration to the next, by name, and when it is replaced.
//!
//! An entry whose name a configuration does not have any more stays as long as somebody uses it, and leaves with the
//! next configuration after that: a name that comes back while old requests run finds their state.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use tollgate_admission::{Admission, AdmissionRules};
use tollgate_backends::credentials::{self, CredentialsError};
use tollgate_backends::drains::Drains;
use tollgate_backends::hedge_budget::HedgeBudget;
use tollgate_backends::routing::alias::Turn;
use tollgate_backends::tls::{BackendTls, BackendTlsError};
use tollgate_config::{BackendTlsConfig, Config, CredentialsConfig, DrainConfig};
use tollgate_credentials::Credentials;
use tollgate_settings::Fingerprint;

type ByName<T> = HashMap<Arc<str>, T, RandomState>;

/// State by the names that configurations give it.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    credentials: ByName<KnownCredentials>,
    /// By fingerprint: backends with equal settings share their connections.
    tls: HashMap<Fingerprint, Arc<BackendTls>, RandomState>,
    admissions: ByName<Arc<Admission>>,
    aliases: ByName<AliasState>,
    /// The configuration in use, without what can change: see [`crate::restart`].
    pub(crate) fixed: Option<Config>,
}

/// Credentials of a backend, and what they were made of.
#[derive(Debug, Clone)]
pub(crate) struct KnownCredentials {
    fingerprint: Option<Fingerprint>,
    pub(crate) credentials: Arc<Credentials>,
}

/// What an alias counts.
#[derive(Debug, Clone)]
pub(crate) struct AliasState {
    pub(crate) drains: Drains,
    pub(crate) hedges: HedgeBudget,
    pub(crate) turn: Turn,
}

impl Default for AliasState {
    fn default() -> Self {
        Self {
            drains: Drains::new(DrainConfig::default()),
            hedges: HedgeBudget::new(0),
            turn: Turn::default(),
        }
    }
}

impl Kept {
    /// The credentials of a backend: those it has, with their tokens, as long as nothing they are made of changes.
    pub(crate) fn credentials(
        &self,
        backend: &Arc<str>,
        config: Option<&CredentialsConfig>,
    ) -> Result<KnownCredentials, CredentialsError> {
        let fingerprint = config.and_then(|config| Fingerprint::of(config, &[]));
        match self.credentials.get(backend) {
            Some(known) if fingerprint.is_some() && known.fingerprint == fingerprint => Ok(known.clone()),
            _ => Ok(KnownCredentials { fingerprint, credentials: credentials::resolve(backend, config)? }),
        }
    }

    /// TLS settings of a backend's own, with the connections that were made with them.
    pub(crate) fn tls(&self, config: &BackendTlsConfig) -> Result<Option<Arc<BackendTls>>, BackendTlsError> {
        if config.is_default() {
            return Ok(None);
        }
        let known = BackendTls::fingerprint_of(config).and_then(|fingerprint| self.tls.get(&fingerprint));
        match known {
            Some(known) => Ok(Some(Arc::clone(known))),
            None => BackendTls::resolve(config).map(|new| Some(Arc::new(new))),
        }
    }

    pub(crate) fn keep_credentials(&mut self, backend: &Arc<str>, credentials: KnownCredentials) {
        self.credentials.insert(Arc::clone(backend), credentials);
    }

    /// Keeps TLS settings, and answers those to use: two backends of one configuration may have made them twice.
    pub(crate) fn keep_tls(&mut self, tls: Arc<BackendTls>) -> Arc<BackendTls> {
        match tls.fingerprint() {
            Some(fingerprint) => Arc::clone(self.tls.entry(fingerprint).or_insert(tls)),
            None => tls,
        }
    }

    /// The admission of a backend under these bounds, with those who run and wait there.
    pub(crate) fn admission(&mut self, backend: &Arc<str>, rules: AdmissionRules) -> Arc<Admission> {
        if let Some(known) = self.admissions.get(backend) {
            known.set_rules(rules);
            return Arc::clone(known);
        }
        let new = Admission::new(rules);
        self.admissions.insert(Arc::clone(backend), Arc::clone(&new));
        new
    }

    /// What an alias has counted so far.
    pub(crate) fn alias(&mut self, alias: &Arc<str>) -> &AliasState {
        self.aliases.entry(Arc::clone(alias)).or_default()
    }

    /// Removes entries that neither a configuration nor a request uses.
    pub(crate) fn prune(&mut self, config: &Config) {
        self.credentials.retain(|name, known| {
            config.backends.contains_key(name) || Arc::strong_count(&known.credentials) > 1
        });
        self.tls.retain(|_, tls| Arc::strong_count(tls) > 1);
        self.admissions.retain(|_, admission| Arc::strong_count(admission) > 1);
        self.aliases.retain(|name, state| {
            config.models.contains_key(name) || state.turn.is_shared() || state.drains.is_shared()
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tollgate_settings::load::parse_yaml;

    use super::*;

    fn credentials(text: &str) -> CredentialsConfig {
        parse_yaml("t.yaml".as_ref(), text).unwrap()
    }

    fn oauth2(client: &str) -> CredentialsConfig {
        credentials(&format!(
            "oauth2: {{ token_url: 'https://h/token', client_id: {client}, client_secret: s }}"
        ))
    }

    /// Those of backend `b` after a configuration with this setting.
    fn next(kept: &mut Kept, config: &CredentialsConfig) -> Arc<Credentials> {
        let name = "b".into();
        let known = kept.credentials(&name, Some(config)).unwrap();
        kept.keep_credentials(&name, known.clone());
        known.credentials
    }

    #[test]
    fn credentials_stay_until_their_settings_change() {
        let mut kept = Kept::default();
        let first = next(&mut kept, &oauth2("one"));
        assert!(Arc::ptr_eq(&first, &next(&mut kept, &oauth2("one"))));
        assert!(!Arc::ptr_eq(&first, &next(&mut kept, &oauth2("two"))));
    }

    #[test]
    fn credentials_are_replaced_when_the_secret_behind_their_reference_changes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text =
            format!("header: {{ name: api-key, value: '${{secret:file:{}}}' }}", file.path().display());
        let mut kept = Kept::default();
        let mut written = |secret: &str| {
            std::fs::write(file.path(), secret).unwrap();
            next(&mut kept, &credentials(&text))
        };
        let first = written("one");
        assert!(Arc::ptr_eq(&first, &written("one")));
        assert!(!Arc::ptr_eq(&first, &written("two")));
    }

    #[test]
    fn an_admission_keeps_who_runs_under_new_bounds() {
        let rules = |max_running| AdmissionRules { max_running, max_waiting: 0, max_wait: Duration::ZERO };
        let mut kept = Kept::default();
        let before = kept.admission(&"b".into(), rules(1));
        let _permit = before.try_enter().unwrap();
        let after = kept.admission(&"b".into(), rules(2));
        let _second = after.try_enter().unwrap();
        assert!(after.try_enter().is_none() && before.try_enter().is_none());
    }

    #[test]
    fn an_alias_keeps_its_turn_its_savings_and_those_who_are_read_without_a_client() {
        let mut kept = Kept::default();
        let before = kept.alias(&"m".into()).clone();
        let _slot =
            before.drains.with_rules(DrainConfig { max_concurrent: 1, ..DrainConfig::default() }).slot();
        before.hedges.with_percent(100).request();
        let after = kept.alias(&"m".into()).clone();
        assert!(
            after
                .drains
                .with_rules(DrainConfig { max_concurrent: 1, ..DrainConfig::default() })
                .slot()
                .is_none()
        );
        assert!(after.hedges.take());
        assert!(after.turn.is_shared());
    }

    #[test]
    fn what_nobody_uses_is_forgotten_and_what_a_request_uses_is_found_again() {
        let nothing: Config = parse_yaml("t.yaml".as_ref(), "{}").unwrap();
        let rules = AdmissionRules { max_running: 1, max_waiting: 0, max_wait: Duration::ZERO };
        let mut kept = Kept::default();
        let permit = kept.admission(&"busy".into(), rules).try_enter().unwrap();
        let slot = kept.alias(&"busy".into()).drains.slot().unwrap();
        let shown = next(&mut kept, &oauth2("one"));
        drop(kept.admission(&"idle".into(), rules));
        kept.alias(&"idle".into());
        kept.prune(&nothing);
        assert_eq!((kept.admissions.len(), kept.aliases.len(), kept.credentials.len()), (1, 1, 1));
        assert!(kept.admission(&"busy".into(), rules).try_enter().is_none());
        drop((permit, slot, shown));
        kept.prune(&nothing);
        assert_eq!((kept.admissions.len(), kept.aliases.len(), kept.credentials.len()), (0, 0, 0));
    }
}
