//! Marks of the prompt cache, such that the target takes them.
//!
//! A mark says that the prompt may be cached up to it. It is no text: setting, moving or removing one changes
//! neither what the model reads nor what it answers. So marks that a target does not take are left out in silence.
//!
//! Where the client set none, and the alias lets the gateway do it, up to three are set: behind the instructions
//! (behind the tools where there are none), and behind each of the last two turns of the user. The second last turn
//! was the last one when the conversation was sent before, so what was cached then is found again for certain, however
//! many parts the model and its tools have added since.

use tollgate_families::{CacheMarks, Traits, Vendor};

use crate::exchange::{CacheMark, Part, Request, Turn, TurnRole};

/// Most marks where nothing is known of the model: as many as the APIs that have them take.
const MOST_UNKNOWN: usize = 4;

/// Leaves the marks that the target takes, and sets some where there are none and the request wants that.
pub(crate) fn fit(request: &mut Request<'_>, traits: &Traits) {
    let cache = &traits.cache;
    let unknown = traits.vendor == Vendor::Unknown && cache.marks == CacheMarks::None;
    lift_from_results(request);
    if cache.marks == CacheMarks::None && !unknown {
        return each(request, |_, mark| *mark = None);
    }
    let mut any = false;
    each(request, |place, mark| {
        any |= mark.is_some();
        match place {
            Place::Tool if !cache.on_tools => *mark = None,
            Place::BehindResult if !cache.on_results => *mark = None,
            _ => {}
        }
    });
    if !any && request.marks_prompt && matches!(traits.vendor, Vendor::Claude | Vendor::Nova | Vendor::Nova2)
    {
        set(request, traits);
    }
    let most = if unknown { MOST_UNKNOWN } else { usize::try_from(cache.most).unwrap_or(usize::MAX) };
    let has_hours = cache.ttls.is_empty() || cache.ttls.iter().any(|ttl| ttl == "1h");
    bound(request, most, has_hours);
}

/// Where a mark stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Tool,
    Text,
    /// On a result of a tool, or behind one in the same turn.
    BehindResult,
}

/// Looks at every place for a mark, in the order of the prompt.
fn each(request: &mut Request<'_>, mut look: impl FnMut(Place, &mut Option<CacheMark>)) {
    request.tools.iter_mut().for_each(|tool| look(Place::Tool, &mut tool.cache));
    request.system.iter_mut().for_each(|text| look(Place::Text, &mut text.cache));
    for run in request.turns.chunk_by_mut(|one, next| one.role == next.role) {
        let has_results = has_results(run);
        for part in run.iter_mut().flat_map(|turn| &mut turn.parts) {
            if let Some(mark) = mark_of(part) {
                look(if has_results { Place::BehindResult } else { Place::Text }, mark);
            }
        }
    }
}

/// Results are brought to the front of a turn, so all the rest of it stands behind them.
fn has_results(run: &[Turn<'_>]) -> bool {
    run.iter().flat_map(|turn| &turn.parts).any(|part| matches!(part, Part::ToolResult(_)))
}

/// The place for a mark of a part; `None` if it can have none.
const fn mark_of<'p>(part: &'p mut Part<'_>) -> Option<&'p mut Option<CacheMark>> {
    match part {
        Part::Text { cache, .. } => Some(cache),
        Part::Image(image) => Some(&mut image.cache),
        Part::Audio(media) | Part::Document { media, .. } => Some(&mut media.cache),
        Part::ToolResult(result) => Some(&mut result.cache),
        Part::ToolCall(_) | Part::Reasoning { .. } | Part::Refusal(_) => None,
    }
}

/// A mark within a result stands behind the result: some APIs have no place for it inside, and the end is the same.
fn lift_from_results(request: &mut Request<'_>) {
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        let Part::ToolResult(result) = part else { continue };
        for inner in &mut result.parts {
            let lifted = mark_of(inner).and_then(Option::take);
            result.cache = result.cache.or(lifted);
        }
    }
}

/// Marks the instructions and the last turns of the user.
fn set(request: &mut Request<'_>, traits: &Traits) {
    let mark = Some(CacheMark::FiveMinutes);
    match request.system.iter_mut().rfind(|text| !text.text.trim_ascii().is_empty()) {
        Some(text) => text.cache = mark,
        None if traits.cache.on_tools => {
            if let Some(tool) = request.tools.last_mut() {
                tool.cache = mark;
            }
        }
        None => {}
    }
    let mut runs: Vec<&mut [Turn<'_>]> = request
        .turns
        .chunk_by_mut(|one, next| one.role == next.role)
        .filter(|run| run.first().is_some_and(|turn| turn.role == TurnRole::User))
        .filter(|run| traits.cache.on_results || !has_results(run))
        .collect();
    for run in runs.iter_mut().rev().take(2) {
        if let Some(place) = last_place(run) {
            *place = mark;
        }
    }
}

/// The last part that can be marked, as the turn is written: results first.
fn last_place<'t>(run: &'t mut [Turn<'_>]) -> Option<&'t mut Option<CacheMark>> {
    let is_there = |part: &Part<'_>| match part {
        Part::Text { text, .. } => !text.trim_ascii().is_empty(),
        Part::Image(_) | Part::Document { .. } | Part::ToolResult(_) => true,
        Part::Audio(_) | Part::ToolCall(_) | Part::Reasoning { .. } | Part::Refusal(_) => false,
    };
    let parts = run.iter_mut().flat_map(|turn| &mut turn.parts).filter(|part| is_there(part));
    parts.max_by_key(|part| !matches!(part, Part::ToolResult(_))).and_then(mark_of)
}

/// Keeps the last `most` marks; none holds for an hour behind one that holds for five minutes, which is refused.
fn bound(request: &mut Request<'_>, most: usize, has_hours: bool) {
    let mut total = 0_usize;
    each(request, |_, mark| total += usize::from(mark.is_some()));
    let mut surplus = total.saturating_sub(most);
    let mut short = !has_hours;
    each(request, |_, mark| {
        let Some(wanted) = *mark else { return };
        if surplus > 0 {
            surplus -= 1;
            *mark = None;
            return;
        }
        short |= wanted == CacheMark::FiveMinutes;
        *mark = Some(if short { CacheMark::FiveMinutes } else { wanted });
    });
}

#[cfg(test)]
mod tests {
    use tollgate_families::ApiFormat;

    use super::*;
    use crate::exchange::{SystemText, Tool, ToolCall, ToolResult};
    use crate::testing::target;

    const NOVA: &str = "amazon.nova-pro-v1:0";
    const CLAUDE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";

    fn turn(role: TurnRole, parts: Vec<Part<'static>>) -> Turn<'static> {
        Turn { role, name: None, parts }
    }

    fn result(cache: Option<CacheMark>, inner: Option<CacheMark>) -> Part<'static> {
        let parts = vec![Part::Text { text: "22C".into(), cache: inner }];
        Part::ToolResult(ToolResult { call_id: "c".into(), parts, json: None, is_error: false, cache })
    }

    fn call() -> Part<'static> {
        Part::ToolCall(ToolCall { id: "c".into(), name: "f".into(), arguments: "{}".into() })
    }

    /// A conversation with results of a tool in its last turn.
    fn conversation() -> Request<'static> {
        Request {
            system: vec![SystemText { text: "be brief".into(), cache: None }],
            tools: vec![Tool { name: "f".into(), ..Tool::default() }],
            turns: vec![
                turn(TurnRole::User, vec![Part::text("a")]),
                turn(TurnRole::Assistant, vec![Part::text("b")]),
                turn(TurnRole::User, vec![Part::text("c")]),
                turn(TurnRole::Assistant, vec![call()]),
                turn(TurnRole::User, vec![Part::text("and?"), result(None, None)]),
            ],
            marks_prompt: true,
            ..Request::default()
        }
    }

    /// The marks in the order of the prompt: `-` where there is none.
    fn marks(request: &mut Request<'_>) -> String {
        let mut all = String::new();
        each(request, |_, mark| {
            all.push(match mark {
                None => '-',
                Some(CacheMark::FiveMinutes) => '5',
                Some(CacheMark::OneHour) => 'h',
            });
        });
        all
    }

    fn fitted(mut request: Request<'static>, model: &str) -> String {
        fit(&mut request, target(model, ApiFormat::Bedrock).traits);
        marks(&mut request)
    }

    #[test]
    fn instructions_and_the_last_two_turns_of_the_user_are_marked_where_the_client_marked_nothing() {
        // One tool, one instruction, then a, b, c, "and?", the result.
        assert_eq!(fitted(conversation(), CLAUDE), "-5--55-");
        assert_eq!(fitted(Request { system: Vec::new(), ..conversation() }, CLAUDE), "5--55-");
        assert_eq!(fitted(Request { marks_prompt: false, ..conversation() }, CLAUDE), "-------");
        let mut marked = conversation();
        marked.tools[0].cache = Some(CacheMark::OneHour);
        assert_eq!(fitted(marked, CLAUDE), "h------");
    }

    #[test]
    fn a_mark_of_the_turn_before_stays_when_the_conversation_goes_on() {
        let mut longer = conversation();
        longer.turns.push(turn(TurnRole::Assistant, vec![Part::text("d")]));
        longer.turns.push(turn(TurnRole::User, vec![Part::text("e")]));
        assert_eq!(fitted(longer, CLAUDE), "-5---5--5");
    }

    #[test]
    fn nova_has_no_marks_on_tools_or_behind_results() {
        assert_eq!(fitted(conversation(), NOVA), "-55-5--");
        let mut request = conversation();
        request.tools[0].cache = Some(CacheMark::FiveMinutes);
        request.turns[4].parts[1] = result(Some(CacheMark::OneHour), None);
        request.turns[2].parts[0] = Part::Text { text: "c".into(), cache: Some(CacheMark::OneHour) };
        assert_eq!(fitted(request, NOVA), "----5--");
    }

    #[test]
    fn a_mark_within_a_result_is_lifted_and_a_model_without_a_cache_gets_none() {
        let mut request = conversation();
        request.turns[4].parts[1] = result(None, Some(CacheMark::OneHour));
        assert_eq!(fitted(request.clone(), CLAUDE), "------h");
        assert_eq!(fitted(request, "us.meta.llama3-1-70b-instruct-v1:0"), "-------");
    }

    #[test]
    fn at_most_four_marks_are_left_and_none_for_an_hour_behind_a_short_one() {
        let mut request = conversation();
        let mut nth = 0;
        each(&mut request, |_, mark| {
            nth += 1;
            *mark = Some(if nth == 5 { CacheMark::FiveMinutes } else { CacheMark::OneHour });
        });
        assert_eq!(fitted(request, CLAUDE), "---h555");
    }
}
