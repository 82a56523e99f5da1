"""LangChain's client for OpenAI: chat, responses, Azure's paths, completions, embeddings."""

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAI, OpenAIEmbeddings
from openai import BadRequestError, NotFoundError, RateLimitError

from matrix import (
    BOTH_QUESTION, BOTH_RESULTS, CITIES, DEGREES, FORECAST, FORECAST_VALUE, INSTRUCTION, ONE_RESULT, PNG_BASE64,
    QUESTION, SEEN, TOOL_QUESTION, TRANSCRIPT, WEATHER, equal, raises, run,
)

TOOL = {"title": "weather", "description": "Weather of a city", **WEATHER}
FORM = {"title": "forecast", "description": "A forecast", **FORECAST}


def chat(gateway, key, models):
    return cases(lambda model, **more: ChatOpenAI(
        model=model, base_url=f"{gateway}/v1", api_key=key, max_retries=0, stream_usage=True, **more), models)


def responses(gateway, key, models):
    return cases(lambda model, **more: ChatOpenAI(
        model=model, base_url=f"{gateway}/v1", api_key=key, max_retries=0, use_responses_api=True, **more), models)


def azure(gateway, key, models):
    kept = ("plain", "stream", "tools", "unknown_model")
    all_cases = cases(lambda model, **more: AzureChatOpenAI(
        azure_endpoint=gateway, azure_deployment=model, api_version="2024-10-21", api_key=key, max_retries=0,
        **more), models)
    return {name: all_cases[name] for name in kept}


def cases(make, models):
    model = make(models["chat"])

    def plain():
        answer = model.invoke(QUESTION)
        assert "refunds" in answer.text
        assert answer.usage_metadata["total_tokens"] > 0

    def stream():
        expected = model.invoke(QUESTION).text
        chunks = list(model.stream(QUESTION))
        equal("".join(chunk.text for chunk in chunks), expected)

    def turns():
        said = [SystemMessage(INSTRUCTION), HumanMessage("My name is Ada."), AIMessage("Hello Ada."),
                HumanMessage("Please repeat everything.")]
        equal(model.invoke(said).text, TRANSCRIPT)

    def tools(question=TOOL_QUESTION, count=1, expected=ONE_RESULT):
        bound = model.bind_tools([TOOL])
        said = [HumanMessage(question)]
        answer = bound.invoke(said)
        equal([call["args"] for call in answer.tool_calls], [{"city": c} for c in CITIES[:count]])
        said.append(answer)
        said += [ToolMessage(text, tool_call_id=call["id"]) for call, text in zip(answer.tool_calls, DEGREES)]
        equal(bound.invoke(said).text, expected)

    def tools_stream():
        whole = None
        for chunk in model.bind_tools([TOOL]).stream(BOTH_QUESTION):
            whole = chunk if whole is None else whole + chunk
        equal([call["args"] for call in whole.tool_calls], [{"city": c} for c in CITIES])

    def image():
        content = [{"type": "text", "text": "What is this?"},
                   {"type": "image", "base64": PNG_BASE64, "mime_type": "image/png"}]
        equal(model.invoke([HumanMessage(content)]).text, SEEN)

    def json_schema():
        structured = model.with_structured_output(FORM, method="json_schema", strict=True)
        equal(structured.invoke("The forecast?"), FORECAST_VALUE)

    return {"plain": plain, "stream": stream, "turns": turns, "tools": tools,
            "parallel_tools": lambda: tools(BOTH_QUESTION, 2, BOTH_RESULTS), "tools_stream": tools_stream,
            "image": image, "json_schema": json_schema,
            "unknown_model": lambda: raises(NotFoundError, lambda: make("no-such-model").invoke(QUESTION)),
            "bad_request": lambda: raises(BadRequestError, lambda: make(models["broken"]).invoke(QUESTION)),
            "rate_limit": lambda: raises(RateLimitError, lambda: make(models["busy"]).invoke(QUESTION))}


def completions(gateway, key, models):
    model = OpenAI(model=models["completions"], base_url=f"{gateway}/v1", api_key=key, max_retries=0, max_tokens=300)

    def plain():
        assert "refunds" in model.invoke(QUESTION)

    def stream():
        expected = model.invoke(QUESTION)
        equal("".join(model.stream(QUESTION)), expected)

    return {"plain": plain, "stream": stream}


def embeddings(gateway, key, models):
    # Texts are sent as texts: the tokens of one model mean nothing to another.
    model = OpenAIEmbeddings(model=models.get("embeddings", ""), base_url=f"{gateway}/v1", api_key=key, max_retries=0,
                             check_embedding_ctx_length=False)

    def many():
        one, other = model.embed_documents(["a ledger", "a spool"])
        assert one != other
        equal(model.embed_query("a spool"), other)

    return {"many": many}


run({"chat": chat, "responses": responses, "azure": azure, "completions": completions, "embeddings": embeddings})
