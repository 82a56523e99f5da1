//! Serves one request of a provider's API: faults first, then the mistakes of the request, then an answer.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::ask::{Ask, Turn};
use super::catalogue::{self, Kind, Offer};
use super::check::{Checked, Node};
use super::mind::{self, Said};
use super::openai::store::Kept;
use super::prompt_cache::Prompt;
use super::refuse::{Dialect, Refusal};
use super::route::{self, Endpoint, Target};
use super::steps::{steps, whole};
use super::{anthropic, bedrock, gemini, kept, openai};
use crate::sim::body::SimBody;
use crate::sim::faults::Faults;
use crate::sim::routes::{refusal, wait};
use crate::sim::state::State;
use crate::sim::wire::json_response;

/// Answers a request at a provider's path.
pub(in crate::sim) async fn serve(
    head: &Parts,
    body: &[u8],
    state: &Arc<State>,
    connection: AbortHandle,
) -> Response<SimBody> {
    let dialect = route::dialect(head.uri.path());
    let refused = |refusal: Refusal| dialect.refuse(&refusal);
    let Some(target) = route::find(head) else {
        return refused(Refusal::new(404, "There is nothing at this address.").code("unknown_url"));
    };
    if let Endpoint::Kept { id, action } = &target.endpoint {
        let streams =
            head.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "stream=true"));
        let served = kept::serve(id, *action, &state.responses);
        return match served {
            Ok(response) if streams => again(&response, state.options.chunk_delay, connection),
            Ok(value) => json_response(StatusCode::OK, &value),
            Err(refusal) => refused(refusal),
        };
    }
    if dialect == Dialect::Anthropic && !head.headers.contains_key("anthropic-version") {
        return refused(Refusal::new(400, "anthropic-version: header is required"));
    }
    match serde_json::from_slice(body).map(|body| in_one_spelling(&target, body)) {
        Ok(value) => {
            let exchange = Exchange { target, state, root: Node::root(&value), body };
            exchange.answer(connection).await.unwrap_or_else(refused)
        }
        Err(reason) => refused(Refusal::new(400, format!("The body is no JSON: {reason}"))),
    }
}

/// A kept response as a stream. One that is still worked on breaks off where it is.
fn again(response: &Value, pause: std::time::Duration, connection: AbortHandle) -> Response<SimBody> {
    let mut events = openai::responses::stream(response);
    if response["usage"].is_null() {
        events.truncate(2);
    }
    let steps = steps(events, &Faults::default(), pause);
    let mut streamed = Response::new(SimBody::stream(steps, connection));
    streamed.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(EVENTS));
    streamed
}

/// Google takes its names in either spelling.
fn in_one_spelling(target: &Target, body: Value) -> Value {
    if target.dialect == Dialect::Gemini { gemini::in_camel_case(body) } else { body }
}

/// One request.
struct Exchange<'a> {
    target: Target,
    state: &'a Arc<State>,
    root: Node<'a>,
    body: &'a [u8],
}

/// What is sent.
enum Form {
    Whole(Value),
    Stream(&'static str, Vec<Bytes>),
}

/// What rendering needs besides what is said.
enum Extras {
    None,
    OpenAi(openai::Extras),
    Bedrock(bedrock::Extras),
}

const EVENTS: &str = "text/event-stream; charset=utf-8";
const BINARY_EVENTS: &str = "application/vnd.amazon.eventstream";

impl Exchange<'_> {
    async fn answer(&self, connection: AbortHandle) -> Result<Response<SimBody>, Refusal> {
        let name = match &self.target.model {
            Some(name) => name.clone(),
            None => self.root.need("model")?.text()?.to_owned(),
        };
        let offer = catalogue::find(&name).filter(|offer| self.serves(offer)).ok_or_else(|| {
            Refusal::new(404, format!("The model `{name}` does not exist.")).code("model_not_found")
        })?;
        let faults = self.state.begin(offer.model.name, &name, self.wants_stream());
        wait(&offer.model, &faults).await;
        if let Some(fault) = &faults.status {
            return Ok(self.fault(fault.code, refusal(fault), fault.body.is_some()));
        }
        match self.target.endpoint {
            Endpoint::Embeddings | Endpoint::Invoke | Endpoint::Embed | Endpoint::BatchEmbed => {
                self.embed(offer)
            }
            Endpoint::CountTokens => {
                let ask = anthropic::read(&self.root, true)?;
                let tokens = self.state.options.tokens.count(&ask.prompt());
                Ok(json_response(StatusCode::OK, &anthropic::counted(tokens)))
            }
            _ => self.converse(offer, &faults, connection),
        }
    }

    /// Whether the endpoint serves such models.
    fn serves(&self, offer: &Offer) -> bool {
        let kind = match self.target.endpoint {
            Endpoint::Completions => offer.kind == Kind::Completion,
            Endpoint::Embeddings | Endpoint::Invoke | Endpoint::Embed | Endpoint::BatchEmbed => {
                offer.kind == Kind::Embedding
            }
            _ => matches!(offer.kind, Kind::Chat | Kind::Thinker),
        };
        // Google serves its models in OpenAI's format too.
        let theirs = self.target.dialect == Dialect::OpenAi && offer.dialect == Dialect::Gemini;
        kind && (offer.dialect == self.target.dialect || theirs)
    }

    fn wants_stream(&self) -> bool {
        match self.target.endpoint {
            Endpoint::Converse { stream } | Endpoint::Generate { stream } => stream,
            _ => self.root.get("stream").is_some_and(|stream| stream.raw() == &Value::Bool(true)),
        }
    }

    /// A fault with the body that this provider gives it.
    fn fault(&self, status: u16, mut plain: Response<SimBody>, has_body: bool) -> Response<SimBody> {
        if has_body {
            return plain;
        }
        let own = self.target.dialect.refuse(&Refusal {
            status,
            code: (status == 429).then_some("rate_limit_exceeded"),
            param: None,
            message: "This fault was switched on at /sim/faults.".to_owned(),
        });
        let (head, body) = own.into_parts();
        plain.headers_mut().extend(head.headers);
        *plain.body_mut() = body;
        plain
    }

    fn embed(&self, offer: &Offer) -> Result<Response<SimBody>, Refusal> {
        let (model, count) = (offer.model.name, |text: &str| self.state.options.tokens.count(text));
        let (answer, tokens) = match self.target.endpoint {
            Endpoint::Embeddings => openai::embeddings::embed(&self.root, model, count)?,
            Endpoint::Invoke => bedrock::embeddings::invoke(&self.root, model, count)?,
            Endpoint::Embed => gemini::embeddings::one(&self.root, model, count)?,
            _ => gemini::embeddings::batch(&self.root, model, count)?,
        };
        self.state.count_tokens(model, tokens, 0);
        self.state.end(model, true);
        let mut response = json_response(StatusCode::OK, &answer);
        if self.target.endpoint == Endpoint::Invoke {
            let name = HeaderName::from_static("x-amzn-bedrock-input-token-count");
            response.headers_mut().insert(name, HeaderValue::from(tokens));
        }
        Ok(response)
    }

    fn converse(
        &self,
        offer: &'static Offer,
        faults: &Faults,
        connection: AbortHandle,
    ) -> Result<Response<SimBody>, Refusal> {
        let earlier = self.earlier()?;
        let (ask, extras) = self.read(offer, &earlier)?;
        let mut said = mind::answer(&ask, &offer.model, self.state.options.tokens, self.call_ids());
        let model = offer.model.name;
        self.use_cache(model, &mut said);
        self.state.count_tokens(model, said.used.prompt(), said.used.answer());
        let response = match self.form(&ask, &said, model, &extras) {
            Form::Whole(value) => {
                let body = whole(&value, faults);
                let mut response = json_response(StatusCode::OK, &value);
                *response.body_mut() = SimBody::plain(body, connection).reported(self.state, model);
                response
            }
            Form::Stream(kind, parts) => {
                let steps = steps(parts, faults, self.state.options.chunk_delay);
                let mut response =
                    Response::new(SimBody::stream(steps, connection).reported(self.state, model));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
                response
            }
        };
        Ok(response)
    }

    /// The conversation that a response goes on with.
    fn earlier(&self) -> Result<Vec<Turn>, Refusal> {
        let previous = match self.target.endpoint {
            Endpoint::Responses => self.root.get("previous_response_id"),
            _ => None,
        };
        let Some(previous) = previous else { return Ok(Vec::new()) };
        let id = previous.text()?;
        let kept = self.state.responses.get(id).ok_or_else(|| {
            let message = format!("Previous response with id '{id}' not found.");
            Refusal::new(400, message).code("previous_response_not_found")
        })?;
        Ok(kept.turns)
    }

    fn read(&self, offer: &Offer, earlier: &[Turn]) -> Checked<(Ask, Extras)> {
        let root = &self.root;
        Ok(match self.target.endpoint {
            Endpoint::Messages => (anthropic::read(root, false)?, Extras::None),
            Endpoint::Converse { stream } => {
                let (ask, extras) = bedrock::read(root, offer)?;
                (Ask { stream, ..ask }, Extras::Bedrock(extras))
            }
            Endpoint::Generate { stream } => (Ask { stream, ..gemini::read(root, offer)? }, Extras::None),
            Endpoint::Responses => (openai::responses::read(root, offer, earlier)?, Extras::None),
            Endpoint::Completions => {
                let (ask, extras) = openai::completions::read(root)?;
                (ask, Extras::OpenAi(extras))
            }
            _ => {
                let (ask, extras) = openai::read(root, offer, self.target.azure)?;
                (ask, Extras::OpenAi(extras))
            }
        })
    }

    fn call_ids(&self) -> fn() -> String {
        fn id(prefix: &str) -> String {
            // The end of the id is the random part.
            let random = Uuid::now_v7().simple().to_string();
            format!("{prefix}{}", &random[8..])
        }
        match self.target.dialect {
            Dialect::OpenAi => || id("call_"),
            Dialect::Anthropic => || id("toolu_"),
            Dialect::Bedrock => || id("tooluse_"),
            Dialect::Gemini => || id(""),
        }
    }

    /// Takes what the prompt cache knows from what is read anew.
    fn use_cache(&self, model: &str, said: &mut Said) {
        let prompt = Prompt::of(&self.target, self.body);
        let found = self.state.prompt_cache.look(&self.target, model, &prompt, said.used.fresh);
        said.used.cached = found.cached;
        said.used.kept = found.kept;
        said.used.fresh -= found.cached + found.kept;
    }

    fn form(&self, ask: &Ask, said: &Said, model: &str, extras: &Extras) -> Form {
        match (&self.target.endpoint, extras) {
            (Endpoint::Messages, _) if ask.stream => Form::Stream(EVENTS, anthropic::stream(said, model)),
            (Endpoint::Messages, _) => Form::Whole(anthropic::whole(said, model)),
            (_, Extras::Bedrock(extras)) if ask.stream => {
                Form::Stream(BINARY_EVENTS, bedrock::stream(said, *extras))
            }
            (_, Extras::Bedrock(extras)) => Form::Whole(bedrock::whole(said, *extras)),
            (Endpoint::Generate { .. }, _) if ask.stream => Form::Stream(EVENTS, gemini::stream(said, model)),
            (Endpoint::Generate { .. }, _) => Form::Whole(gemini::whole(said, model)),
            (Endpoint::Completions, Extras::OpenAi(extras)) if ask.stream => {
                Form::Stream(EVENTS, openai::completions::stream(said, model, *extras))
            }
            (Endpoint::Completions, _) => Form::Whole(openai::completions::whole(said, model)),
            (_, Extras::OpenAi(extras)) if ask.stream => {
                Form::Stream(EVENTS, openai::stream(said, model, *extras))
            }
            (_, Extras::OpenAi(extras)) => Form::Whole(openai::whole(said, model, *extras)),
            _ => self.response(ask, said, model),
        }
    }

    /// An answer of the Responses API, kept unless that is not wanted.
    fn response(&self, ask: &Ask, said: &Said, model: &str) -> Form {
        let mut response = openai::responses::whole(said, &self.root, model);
        let in_background = response["background"] == json!(true);
        if in_background {
            response["status"] = json!("queued");
        }
        if response["store"] != json!(false) {
            let mut turns = ask.turns.clone();
            turns.push(openai::responses::turn(said));
            let input = self.root.get("input").map_or(json!([]), |input| input.raw().clone());
            let id = response["id"].as_str().unwrap_or_default().to_owned();
            self.state.responses.put(Kept { id, response: response.clone(), turns, input });
        }
        if in_background && !ask.stream {
            response["output"] = json!([]);
            response["usage"] = Value::Null;
        }
        if in_background && ask.stream {
            response["status"] = json!("completed");
        }
        if ask.stream {
            return Form::Stream(EVENTS, openai::responses::stream(&response));
        }
        Form::Whole(response)
    }
}
