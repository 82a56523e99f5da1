//! How much an attempt used, case by case.

use super::*;

fn prompt() -> Basis {
    Basis::of(
        ClientFormat::Chat,
        &Bytes::from_static(br#"{"model":"m","messages":[{"role":"user","content":"Say hi"}]}"#),
    )
}

fn reported() -> Usage {
    Usage { input: 9, ..Usage::reported() }
}

#[test]
fn a_final_report_is_believed_even_where_it_says_zero() {
    let produced = Produced {
        usage: Some(reported()),
        complete: true,
        text: "hello",
        prompt_sent: true,
        ..Produced::default()
    };
    let measure = measure(&prompt(), "gpt-4o", produced);
    assert_eq!(measure.source, UsageSource::ProviderFinal);
    assert_eq!(measure.consumed().tokens(), 9);
}

#[test]
fn an_absurd_report_is_not_believed_and_what_passed_is_counted() {
    let absurd = [
        Usage { input: 1 << 63, output: 1 << 63, ..Usage::reported() },
        Usage { input: 9, output: LARGEST_WINDOW, ..Usage::reported() },
        Usage { images: u64::MAX, ..Usage::reported() },
        Usage { input: u64::MAX, ..Usage::reported() }.running(),
    ];
    for usage in absurd {
        let produced =
            Produced { usage: Some(usage), complete: true, text: "Hello there", ..Produced::default() };
        let measure = measure(&prompt(), "gpt-4o", produced);
        assert_eq!((measure.consumed().tokens(), measure.source), (11, UsageSource::Estimated), "{usage:?}");
        assert_eq!(measure.disbelieved, Some(most(&usage)));
    }
    let media = Produced { usage: Some(absurd[0]), ..Produced::default() };
    assert_eq!(measure(&Basis::Request, "tts-1", media).lines, [ONE_REQUEST]);
}

#[test]
fn a_report_that_fits_a_window_or_the_bytes_is_believed() {
    let believed = |basis: &Basis, input: u64| {
        let produced = Produced { usage: Some(Usage { input, ..Usage::reported() }), ..Produced::default() };
        measure(basis, "m", produced).disbelieved.is_none()
    };
    assert!(believed(&prompt(), LARGEST_WINDOW) && !believed(&prompt(), LARGEST_WINDOW + 1));
    let upload = Basis::Traffic(Arc::new(Traffic::of_body(LARGEST_WINDOW as usize)));
    assert!(believed(&upload, 2 * LARGEST_WINDOW) && !believed(&upload, 2 * LARGEST_WINDOW + 1));
}

#[test]
fn a_report_before_the_end_is_partial() {
    let produced = Produced { usage: Some(reported()), prompt_sent: true, ..Produced::default() };
    assert_eq!(measure(&prompt(), "gpt-4o", produced).source, UsageSource::ProviderPartial);
}

#[test]
fn an_answer_that_was_cut_before_its_report_is_counted_beside_the_reported_prompt() {
    let usage = Usage { input: 7, input_reported: Reported::Running, ..Usage::default() };
    let produced =
        Produced { usage: Some(usage), text: "Hello there", prompt_sent: true, ..Produced::default() };
    let measure = measure(&prompt(), "gpt-4o", produced);
    let lines: Vec<_> = measure.lines.iter().map(|line| (line.class, line.qty)).collect();
    assert_eq!(lines, [(TokenClass::Input, 7), (TokenClass::Output, 2)]);
    assert_eq!(measure.source, UsageSource::Counted);
}

#[test]
fn a_running_report_that_says_more_than_was_relayed_is_kept() {
    let usage = Usage { output: 40, ..reported() }.running();
    let produced = Produced { usage: Some(usage), text: "Hi", prompt_sent: true, ..Produced::default() };
    let measure = measure(&prompt(), "gpt-4o", produced);
    assert_eq!((measure.consumed().tokens(), measure.source), (49, UsageSource::ProviderPartial));
}

#[test]
fn a_call_that_uses_no_model_has_no_lines() {
    let measure = measure(&Basis::Free, "", Produced { prompt_sent: true, ..Produced::default() });
    assert_eq!((measure.lines.len(), measure.source), (0, UsageSource::None));
}

#[test]
fn a_call_that_shows_an_answer_again_is_not_charged_for_it_again() {
    let produced =
        Produced { usage: Some(reported()), complete: true, prompt_sent: true, ..Produced::default() };
    let measure = measure(&Basis::Free, "gpt-4o", produced);
    assert_eq!((measure.consumed().tokens(), measure.source), (0, UsageSource::None));
}

#[test]
fn without_a_report_both_sides_are_counted() {
    let produced = Produced { text: "Hello there", prompt_sent: true, ..Produced::default() };
    let measure = measure(&prompt(), "gpt-4o", produced);
    assert_eq!(measure.source, UsageSource::Counted);
    assert_eq!(measure.lines.iter().map(|line| line.qty).collect::<Vec<_>>(), [9, 2]);
}

#[test]
fn inputs_of_embeddings_are_counted_in_their_own_class() {
    let body = Bytes::from_static(br#"{"model":"m","input":"Hello there"}"#);
    let prompt = Basis::of(ClientFormat::Embeddings, &body);
    let produced = Produced { prompt_sent: true, ..Produced::default() };
    let measure = measure(&prompt, "text-embedding-3-small", produced);
    assert_eq!(measure.lines, [UsageLine { class: TokenClass::Embedding, qty: 2 }]);
}

#[test]
fn an_unknown_tokenizer_makes_an_estimate() {
    let produced = Produced { text: "Hello", prompt_sent: true, ..Produced::default() };
    assert_eq!(measure(&prompt(), "sim-small", produced).source, UsageSource::Estimated);
}

#[test]
fn a_request_about_media_counts_itself_and_charges_no_limit() {
    let kind = tollgate_formats::openai_media::MediaKind::Speech;
    let prompt = Basis::of(ClientFormat::Media(kind), &Bytes::from_static(b"{}"));
    let measure = measure(&prompt, "tts-1", Produced { prompt_sent: true, ..Produced::default() });
    assert_eq!(measure.lines, [UsageLine { class: TokenClass::Request, qty: 1 }]);
    assert_eq!((measure.consumed().tokens(), measure.source), (0, UsageSource::Counted));
}

#[test]
fn what_passes_is_counted_unless_the_provider_reports() {
    let traffic = Arc::new(Traffic::of_body(7));
    traffic.answered(11);
    let prompt = Basis::Traffic(traffic);
    let sent = Produced { prompt_sent: true, ..Produced::default() };
    let counted = measure(&prompt, "", sent);
    assert_eq!(counted.lines.iter().map(|line| line.qty).collect::<Vec<_>>(), [1, 7, 11]);
    assert_eq!(counted.consumed().tokens(), 0);
    let reported = Produced { usage: Some(reported()), ..sent };
    assert_eq!(measure(&prompt, "", reported).consumed().tokens(), 9);
}

#[test]
fn a_prompt_that_was_never_sent_costs_nothing() {
    let measure = measure(&prompt(), "gpt-4o", Produced::default());
    assert_eq!((measure.consumed().tokens(), measure.source), (0, UsageSource::None));
}

#[test]
fn a_known_call_that_passes_without_a_report_is_estimated_from_what_passed() {
    let traffic = Arc::new(Traffic::of_body(41));
    let passed = Basis::passed(Some(TokenClass::Input), Arc::clone(&traffic), 0);
    let produced = Produced { text: "Hello there", text_beyond: 9, prompt_sent: true, ..Produced::default() };
    let measured = measure(&passed, "gpt-4o", produced);
    assert_eq!(measured.consumed(), Consumed { input: 11, output: 5 });
    assert_eq!(measured.source, UsageSource::Estimated);
    let usage = Usage { input: 7, input_reported: Reported::Running, ..Usage::default() };
    let cut = measure(&passed, "gpt-4o", Produced { usage: Some(usage), ..produced });
    assert_eq!((cut.consumed(), cut.source), (Consumed { input: 7, output: 5 }, UsageSource::Estimated));
    let embedding = Basis::passed(Some(TokenClass::Embedding), traffic, 0);
    let vectors = measure(&embedding, "m", produced);
    assert_eq!(vectors.lines, [UsageLine { class: TokenClass::Embedding, qty: 11 }]);
}

#[test]
fn an_intent_of_what_passes_says_the_tokens_that_its_head_announces() {
    let passed = |announced| {
        Basis::passed(Some(TokenClass::Input), Arc::new(Traffic::of_body(0)), announced).at_least().unwrap()
    };
    assert_eq!(passed(400), UsageLine { class: TokenClass::Input, qty: 100 });
    assert_eq!(passed(0), ONE_REQUEST);
}
