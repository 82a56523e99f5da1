//! From calls of three teams through Kafka to a report that is exact to the last digit.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tollgate_schemas::money::Pico;
use tollgate_tests::harness::accounting::Accounting;
use tollgate_tests::harness::gateway::{chat, chat_stream};
use tollgate_tests::harness::wait;
use tollgate_tests::sim::{Options, TokenMode};

use crate::support::{CHAT, bed_on_kafka, chunks, shared_kafka, team};

/// Prices a token, in units of 1e-12: input, from the prompt cache, output, reasoning.
const PRICES: [(&str, [i128; 4]); 2] = [
    ("sim-small", [150_000, 75_000, 600_000, 600_000]),
    ("sim-large", [2_500_000, 1_250_000, 10_000_000, 10_000_001]),
];

fn price_book() -> String {
    let mut text = "currency: USD\nentries:\n".to_owned();
    let classes = ["input", "input.cache_read", "output", "output.reasoning"];
    for (model, prices) in PRICES {
        for (class, price) in classes.iter().zip(prices) {
            let per_unit = Pico(price);
            text += &format!(
                "  - {{ provider: sim, model: {model}, class: {class}, per_unit: \"{per_unit}\", from: \"2020-01-01\" }}\n"
            );
        }
    }
    text
}

/// What an answer's usage costs.
fn cost(model: &str, usage: &Value) -> i128 {
    let prices = PRICES.iter().find(|(name, _)| *name == model).unwrap().1;
    let count = |value: &Value| i128::from(value.as_u64().unwrap());
    let cached = count(&usage["prompt_tokens_details"]["cached_tokens"]);
    let reasoning = count(&usage["completion_tokens_details"]["reasoning_tokens"]);
    let input = count(&usage["prompt_tokens"]) - cached;
    let output = count(&usage["completion_tokens"]) - reasoning;
    [input, cached, output, reasoning].iter().zip(prices).map(|(quantity, price)| quantity * price).sum()
}

/// Requests and cost by cost center and model.
type Bill = BTreeMap<(String, String), (u64, i128)>;

#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_three_teams_is_exact_to_the_pico_dollar() {
    if !Accounting::engine_available() {
        return;
    }
    let options = Options { tokens: TokenMode::Exact, ..Options::default() };
    let made = bed_on_kafka("chargeback.", options, |config| {
        config.subscription(&team("search", "gold", "4712")).subscription(&team("support", "gold", "4713"))
    });
    let Some((mut bed, _)) = made.await else { return };
    let kafka = shared_kafka().await.unwrap();
    let prices = bed.folder.path().join("prices.yaml");
    std::fs::write(&prices, price_book()).unwrap();
    let accounting =
        Accounting::start(bed.folder.path(), kafka.events("chargeback."), &prices).await.unwrap();

    let month = jiff::Timestamp::now().strftime("%Y-%m").to_string();
    let mut expected = Bill::new();
    for (turn, (who, cost_center)) in [("checkout", "4711"), ("search", "4712"), ("support", "4713")]
        .into_iter()
        .cycle()
        .take(30)
        .enumerate()
    {
        let (alias, model) = if turn % 4 == 3 { ("large", "sim-large") } else { ("chat", "sim-small") };
        let usage = ask(&bed, who, alias, turn).await;
        let line = expected.entry((cost_center.to_owned(), model.to_owned())).or_default();
        line.0 += 1;
        line.1 += cost(model, &usage);
    }
    bed.gateway.stop().await.unwrap();

    let complete = || async {
        let report = accounting.chargeback(&month, "cost_center,model").await.ok()?;
        let requests: u64 =
            report["totals"].as_array()?.iter().filter_map(|total| total["requests"].as_u64()).sum();
        (requests >= 30).then_some(report)
    };
    let report = wait::until("the report has all requests", wait::START, complete).await.unwrap();
    assert_eq!(bill(&report), expected, "{report:#}");
    let total: i128 = expected.values().map(|(_, cost)| cost).sum();
    assert_eq!(pico(&report["totals"][0]["cost"]), total);
    assert_eq!(report["totals"][0]["unpriced"], 0);
}

/// One call, plain or streamed, short or long enough for the prompt cache, with or without reasoning; its usage.
async fn ask(bed: &crate::support::Bed, who: &str, alias: &str, turn: usize) -> Value {
    let text = if turn.is_multiple_of(5) {
        "A long story about the books. ".repeat(400)
    } else {
        format!("Question {turn}")
    };
    let client = bed.gateway.client(who);
    let mut body = if turn.is_multiple_of(2) { chat(alias, &text) } else { chat_stream(alias, &text) };
    if turn.is_multiple_of(3) {
        body["reasoning_effort"] = json!("low");
    }
    if turn.is_multiple_of(2) {
        let reply = client.post(CHAT, &body).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        return reply.json()["usage"].clone();
    }
    body["stream_options"] = json!({ "include_usage": true });
    let events = client.stream(CHAT, &body).await.unwrap().rest().await.unwrap();
    let found = chunks(&events).into_iter().find(|chunk| chunk["usage"].is_object());
    found.unwrap_or_else(|| panic!("a stream without usage: {events:?}"))["usage"].clone()
}

fn bill(report: &Value) -> Bill {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = report["rows"].as_array().unwrap().iter();
    let line = |row: &Value| {
        let key = (text(&row["cost_center"]), text(&row["model"]));
        (key, (row["requests"].as_u64().unwrap(), pico(&row["cost"])))
    };
    rows.map(line).collect()
}

fn pico(value: &Value) -> i128 {
    let text =
        value.as_str().unwrap_or_else(|| panic!("an amount is text, so that no float touches it: {value}"));
    text.parse::<Pico>().unwrap().0
}
