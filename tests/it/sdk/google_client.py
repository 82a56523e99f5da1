"""The official Python client of Google's Gemini API."""

import json

from google import genai
from google.genai import errors, types

from matrix import (
    BOTH_QUESTION, BOTH_RESULTS, CITIES, DEGREES, EARLIER, FORECAST, FORECAST_VALUE, INSTRUCTION, LONG,
    ONE_RESULT, PNG, QUESTION, SEEN, TOOL_QUESTION, TRANSCRIPT, WEATHER, equal, raises, run,
)

TOOL = types.Tool(function_declarations=[types.FunctionDeclaration(
    name="weather", description="Weather of a city", parameters_json_schema=WEATHER)])
NO_LOOP = types.AutomaticFunctionCallingConfig(disable=True)


def client_of(gateway, key):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=gateway))


def user(text):
    return types.Content(role="user", parts=[types.Part(text=text)])


def results(calls):
    parts = [types.Part.from_function_response(name=call.name, response={"result": text})
             for call, text in zip(calls, DEGREES)]
    return types.Content(role="user", parts=parts)


def gemini(gateway, key, models):
    client = client_of(gateway, key)
    alias = models["chat"]

    def create(contents=QUESTION, model=alias, **config):
        config = types.GenerateContentConfig(automatic_function_calling=NO_LOOP, **config)
        return client.models.generate_content(model=model, contents=contents, config=config)

    def reason(answer):
        return answer.candidates[0].finish_reason.value

    def plain():
        answer = create()
        assert "refunds" in answer.text
        equal((reason(answer), answer.candidates[0].content.role), ("STOP", "model"))
        used = answer.usage_metadata
        assert used.prompt_token_count > 0 and used.candidates_token_count > 0, used
        assert answer.response_id and answer.model_version

    def stream():
        expected = create().text
        chunks = list(client.models.generate_content_stream(model=alias, contents=QUESTION))
        equal("".join(chunk.text or "" for chunk in chunks), expected)
        equal(reason(chunks[-1]), "STOP")
        assert chunks[-1].usage_metadata.candidates_token_count > 0

    def turns():
        names = {"user": "user", "assistant": "model"}
        said = [types.Content(role=names[role], parts=[types.Part(text=text)]) for role, text in EARLIER]
        equal(create(said, system_instruction=INSTRUCTION).text, TRANSCRIPT)

    def tools(question=TOOL_QUESTION, count=1, expected=ONE_RESULT):
        said = [user(question)]
        answer = create(said, tools=[TOOL])
        calls = answer.function_calls
        equal([call.args for call in calls], [{"city": c} for c in CITIES[:count]])
        said += [answer.candidates[0].content, results(calls)]
        equal(create(said, tools=[TOOL]).text, expected)

    def tools_stream():
        config = types.GenerateContentConfig(tools=[TOOL], automatic_function_calling=NO_LOOP)
        chunks = client.models.generate_content_stream(model=alias, contents=BOTH_QUESTION, config=config)
        calls = [call for chunk in chunks for call in chunk.function_calls or []]
        equal([call.args for call in calls], [{"city": c} for c in CITIES])

    def automatic():
        def weather(city: str) -> str:
            """Weather of a city."""
            return DEGREES[CITIES.index(city)]

        chat = client.chats.create(model=alias, config=types.GenerateContentConfig(tools=[weather]))
        equal(chat.send_message(TOOL_QUESTION).text, ONE_RESULT)

    def tool_choice():
        calling = types.FunctionCallingConfig(mode="ANY", allowed_function_names=["weather"])
        answer = create(tools=[TOOL], tool_config=types.ToolConfig(function_calling_config=calling))
        equal([call.name for call in answer.function_calls], ["weather"])

    def image():
        equal(create([types.Part.from_bytes(data=PNG, mime_type="image/png"), "What is this?"]).text, SEEN)

    def json_schema():
        answer = create("The forecast?", response_mime_type="application/json", response_json_schema=FORECAST)
        equal(json.loads(answer.text), FORECAST_VALUE)

    def length():
        equal(reason(create(max_output_tokens=8)), "MAX_TOKENS")

    def stop_sequence():
        answer = create(stop_sequences=["refunds"])
        assert "refunds" not in (answer.text or "")
        equal(reason(answer), "STOP")

    def thinking():
        return {"max_output_tokens": 4000,
                "thinking_config": types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)}

    def reasoning():
        answer = create(model=models["thinker"], **thinking())
        thoughts = [part.text for part in answer.candidates[0].content.parts if part.thought]
        assert "refunds" in answer.text and "I know this" in "".join(thoughts), answer

    def reasoning_tools():
        said = [user(TOOL_QUESTION)]
        config = types.GenerateContentConfig(tools=[TOOL], automatic_function_calling=NO_LOOP, **thinking())
        chunks = client.models.generate_content_stream(model=models["thinker"], contents=said, config=config)
        for chunk in chunks:
            content = chunk.candidates[0].content
            if content and content.parts:
                said.append(content)
        calls = [part.function_call for content in said for part in content.parts if part.function_call]
        said.append(results(calls))
        equal(create(said, model=models["thinker"], tools=[TOOL], **thinking()).text, ONE_RESULT)

    def cached():
        used = [create(system_instruction=LONG).usage_metadata for _ in range(2)]
        assert used[1].cached_content_token_count > 0, used
        equal(used[0].prompt_token_count, used[1].prompt_token_count)

    def count_tokens():
        assert 0 < client.models.count_tokens(model=alias, contents=QUESTION).total_tokens < 100

    def model_list():
        assert f"models/{alias}" in [model.name for model in client.models.list(config={"page_size": 5})]

    def refused(model, code, status):
        error = raises(errors.ClientError, lambda: create(model=model), code)
        equal(error.status, status)
        return error

    def unknown():
        error = refused("no-such-model", 404, "NOT_FOUND")
        equal(error.details["error"]["details"][0]["reason"], "model_not_found")

    return {"plain": plain, "stream": stream, "turns": turns, "tools": tools,
            "parallel_tools": lambda: tools(BOTH_QUESTION, 2, BOTH_RESULTS), "tools_stream": tools_stream,
            "automatic": automatic, "tool_choice": tool_choice, "image": image, "json_schema": json_schema,
            "length": length, "stop_sequence": stop_sequence, "reasoning": reasoning,
            "reasoning_tools": reasoning_tools, "cached": cached, "count_tokens": count_tokens,
            "model_list": model_list, "unknown_model": unknown,
            "rate_limit": lambda: refused(models["busy"], 429, "RESOURCE_EXHAUSTED"),
            "bad_request": lambda: refused(models["broken"], 400, "INVALID_ARGUMENT")}


def gemini_embeddings(gateway, key, models):
    client = client_of(gateway, key)

    def many():
        config = types.EmbedContentConfig(task_type="RETRIEVAL_DOCUMENT")
        # Texts alone are one content to models whose name the client takes for one of its multimodal ones.
        contents = [user("a ledger"), user("a spool")]
        answer = client.models.embed_content(model=models["embeddings"], contents=contents, config=config)
        equal(len(answer.embeddings), 2)
        assert all(len(embedding.values) >= 256 for embedding in answer.embeddings)

    return {"many": many}


run({"gemini": gemini, "gemini-embeddings": gemini_embeddings})
