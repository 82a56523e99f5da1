//! What a new configuration keeps and what it replaces, and that one with mistakes changes nothing.

use std::time::Duration;

use tollgate_backends::Backends;
use tollgate_backends::routing::alias::{Pick, candidates};
use tollgate_base::clock::Clock;
use tollgate_limits::Limiters;
use tollgate_settings::load::parse_yaml;

use super::*;

fn config(text: &str) -> Config {
    parse_yaml("t.yaml".as_ref(), text).unwrap()
}

fn runtime() -> Runtime {
    let arbiter = actix_rt::Arbiter::current();
    let backends = Backends::start_in(&arbiter, Clock::manual(), Vec::new());
    Runtime::new(backends, Limiters::start())
}

/// Two backends, of which `a` is bounded, and a model on both.
fn two(a: &str, model: &str) -> Config {
    config(&format!(
        "backends:\n  a: {{ format: openai, url: 'http://a/v1', {a} }}\n  b: {{ format: openai, url: 'http://b/v1' }}\n\
         models:\n  m: {{ targets: [ {{ backend: a, model: x }}, {{ backend: b, model: x }} ], {model} }}\n"
    ))
}

fn paths(mistakes: &Mistakes) -> Vec<&str> {
    mistakes.0.iter().map(|mistake| &*mistake.path).collect()
}

#[actix_rt::test]
async fn who_runs_at_a_backend_counts_under_the_new_bound() {
    let runtime = runtime();
    let before = compile(&two("max_running: 2", ""), &runtime).unwrap();
    let admission = before.backends["a"].admission.clone().unwrap();
    let _running = [admission.try_enter().unwrap(), admission.try_enter().unwrap()];
    let after = compile(&two("max_running: 3", ""), &runtime).unwrap();
    let admission = after.backends["a"].admission.clone().unwrap();
    let _third = admission.try_enter().unwrap();
    assert!(admission.try_enter().is_none());
    assert_eq!((admission.running(), admission.rules().max_running), (3, 3));
    assert!(after.backends["b"].admission.is_none());
}

#[actix_rt::test]
async fn a_deployment_keeps_its_circuit_and_an_alias_its_turn() {
    let runtime = runtime();
    let before = compile(&two("", "pool: { strategy: round_robin }"), &runtime).unwrap();
    let first = candidates(&before.models["m"].route, Pick::default())[0];
    let _attempt = before.models["m"].targets[0].deployment.admit().unwrap();
    let after = compile(&two("", "pool: { strategy: round_robin }, hidden: true"), &runtime).unwrap();
    assert_ne!(candidates(&after.models["m"].route, Pick::default())[0], first);
    assert_eq!(after.models["m"].targets[0].deployment.in_flight(), 1);
    assert!(after.models["m"].hidden && !before.models["m"].hidden);
}

#[actix_rt::test]
async fn answers_read_without_a_client_and_saved_hedges_are_counted_on() {
    let runtime = runtime();
    let drain = |most| {
        two(
            "",
            &format!(
                "on_disconnect: {{ drain: {{ max_concurrent: {most} }} }}, hedge: {{ max_percent: 100 }}"
            ),
        )
    };
    let before = compile(&drain(1), &runtime).unwrap();
    let resiliency = &before.models["m"].resiliency;
    let _slot = resiliency.drains.as_ref().unwrap().slot().unwrap();
    resiliency.hedging.as_ref().unwrap().budget.request();
    // Between, the alias does without both.
    drop(compile(&two("", ""), &runtime).unwrap());
    let after = compile(&drain(1), &runtime).unwrap();
    let resiliency = &after.models["m"].resiliency;
    assert!(resiliency.drains.as_ref().unwrap().slot().is_none());
    assert!(resiliency.hedging.as_ref().unwrap().budget.take());
}

#[actix_rt::test]
async fn a_configuration_with_a_mistake_changes_nothing() {
    let runtime = runtime();
    let before = compile(&two("max_running: 2", ""), &runtime).unwrap();
    let mut wrong = two("max_running: 9, tls: { ca: /no/such.pem }", "");
    wrong.overload.max_running = 7;
    let mistakes = compile(&wrong, &runtime).unwrap_err();
    assert_eq!(paths(&mistakes), ["backends.a.tls.ca", "backends.a.tls.ca"]);
    assert_ne!(runtime.admission.rules().max_running, 7);
    assert_eq!(before.backends["a"].admission.as_ref().unwrap().rules().max_running, 2);
}

#[actix_rt::test]
async fn bounds_of_the_process_follow_and_what_needs_a_restart_is_refused() {
    let runtime = runtime();
    compile(&config("{}"), &runtime).unwrap();
    let bounds = "overload: { max_running: 5, max_waiting: 4, max_wait: 1s, max_memory: 100MiB }";
    compile(&config(bounds), &runtime).unwrap();
    let rules = AdmissionRules { max_running: 5, max_waiting: 4, max_wait: Duration::from_secs(1) };
    assert_eq!((runtime.admission.rules(), runtime.memory.max_bytes()), (rules, 100 << 20));
    let mistakes = compile(&config("workers: 3\nbase_path: /other\noverload: { max_running: 6 }"), &runtime)
        .unwrap_err();
    assert_eq!(paths(&mistakes), ["workers", "base_path"]);
    assert_eq!(runtime.admission.rules(), rules);
}

#[actix_rt::test]
async fn backends_with_the_same_tls_share_it_and_keep_it() {
    let authorities = tempfile::NamedTempFile::new().unwrap();
    let authority = rcgen::generate_simple_self_signed(vec!["h".to_owned()]).unwrap();
    std::fs::write(authorities.path(), authority.cert.pem()).unwrap();
    let path = authorities.path().display();
    let text = format!(
        "backends:\n  a: &a {{ format: openai, url: 'https://a/v1', tls: {{ ca: {path} }} }}\n  \
         b: {{ format: openai, url: 'https://b/v1', tls: {{ ca: {path} }} }}\n"
    );
    let runtime = runtime();
    let before = compile(&config(&text), &runtime).unwrap();
    let after = compile(&config(&text), &runtime).unwrap();
    let tls = |snapshot: &Snapshot, name: &str| snapshot.backends[name].tls.clone().unwrap();
    assert!(Arc::ptr_eq(&tls(&before, "a"), &tls(&before, "b")));
    assert!(Arc::ptr_eq(&tls(&before, "a"), &tls(&after, "b")));
}

#[actix_rt::test]
async fn the_cache_and_the_probes_of_a_snapshot_are_those_of_its_configuration() {
    let runtime = runtime();
    let with = |rest: &str| {
        config(&format!(
            "backends: {{ a: {{ format: openai, url: 'http://a/v1', probe: {{}} }}, idle: {{ format: openai, url: 'http://i/v1', probe: {{}} }} }}\n\
         models: {{ m: {{ targets: [ {{ backend: a, model: x }} ] }} }}\n{rest}"
        ))
    };
    let before = compile(&with(""), &runtime).unwrap();
    assert!(before.cache.is_none());
    let probed: Vec<_> =
        before.probes.iter().map(|probe| (&*probe.backend.name, probe.uri.to_string())).collect();
    assert_eq!(probed, [("a", "http://a/v1/models".to_owned())]);
    let after = compile(&with("cache_service: { url: 'http://cache:1/' }"), &runtime).unwrap();
    assert_eq!(after.cache.unwrap().endpoint.lookup_url, "http://cache:1/v1/lookup");
    let mistakes = compile(&with("cache_service: { url: 'http://a b' }"), &runtime).unwrap_err();
    assert_eq!(paths(&mistakes), ["cache_service.url"]);
}

/// Outside any actix system.
#[test]
fn a_check_finds_every_mistake_and_starts_nothing() {
    let affinity = |rest: &str| two("", &format!("pool: {{ affinity: {{ {rest} }} }}"));
    for (bad, path) in [
        (affinity("body: user"), "models.m.pool.affinity.body"),
        (affinity("expression: 'tenat'"), "models.m.pool.affinity.expression"),
        (affinity("header: 'a b'"), "models.m.pool.affinity.header"),
        (affinity("header: a, cookie: b"), "models.m.pool.affinity"),
        (
            two("credentials: { header: { name: a, value: '${secret:file:/no/such}' } }", ""),
            "backends.a.credentials.header.value",
        ),
        (two("headers: { 'a b': c }", ""), "backends.a.headers.a b"),
        (config("cache_service: { url: 'http://a b' }"), "cache_service.url"),
    ] {
        assert_eq!(paths(&check(&bad).unwrap_err()), [path]);
    }
    let several = config(
        "workers: 0\nbackends: { a: { format: openai, url: 'https://a/v1', tls: { ca: /no/such.pem } } }",
    );
    assert_eq!(paths(&check(&several).unwrap_err()), ["workers", "backends.a.tls.ca"]);
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "s").unwrap();
    let reference = format!("${{secret:file:{}}}", secret.path().display());
    let oauth2 = format!("token_url: 'https://h/t', client_id: c, client_secret: '{reference}'");
    check(&two(&format!("credentials: {{ oauth2: {{ {oauth2} }} }}"), "")).unwrap();
}

#[actix_rt::test]
async fn each_target_knows_what_its_model_takes() {
    let text = "backends: { a: { format: anthropic, url: 'https://api.anthropic.com' }, o: { format: openai, url: 'http://o/v1' } }\n\
                models: { m: { targets: [ { backend: a, model: claude-opus-5-5 }, { backend: o, model: acme-1 }, \
                { backend: o, model: x, base_model: gpt-5.4, traits: { output: { most: 7 } } } ] } }\n\
                model_families: [ { name: ours, match: ['acme-*'], extends: qwen } ]\n";
    let snapshot = compile(&config(text), &runtime()).unwrap();
    let traits =
        snapshot.models["m"].targets.iter().map(|target| (&*target.traits.family, target.traits.output.most));
    assert_eq!(
        traits.collect::<Vec<_>>(),
        [("claude-opus-5.5", Some(128_000)), ("ours", None), ("gpt-5.4", Some(7))]
    );
}
