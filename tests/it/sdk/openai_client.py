"""The official Python client of OpenAI, on every ingress that it has."""

import json

from openai import AzureOpenAI, BadRequestError, NotFoundError, OpenAI, RateLimitError

from matrix import (
    BOTH_QUESTION, BOTH_RESULTS, CITIES, DEGREES, EARLIER, FORECAST, FORECAST_VALUE, INSTRUCTION, LONG,
    ONE_RESULT, PNG_BASE64, QUESTION, SEEN, TOOL_QUESTION, TRANSCRIPT, WEATHER, equal, raises, run,
)

TOOL = {"type": "function", "function": {"name": "weather", "description": "Weather of a city", "parameters": WEATHER}}
FLAT_TOOL = {"type": "function", "name": "weather", "description": "Weather of a city", "parameters": WEATHER,
             "strict": True}
IMAGE_URL = f"data:image/png;base64,{PNG_BASE64}"


def user(content):
    return [{"role": "user", "content": content}]


def errors(create, models):
    """Cases of refusals; `create` asks a model."""
    def unknown():
        error = raises(NotFoundError, lambda: create("no-such-model"), "model_not_found")
        assert error.request_id

    return {
        "unknown_model": unknown,
        "bad_request": lambda: raises(BadRequestError, lambda: create(models["broken"])),
        "rate_limit": lambda: raises(RateLimitError, lambda: create(models["busy"])),
    }


def chat(gateway, key, models):
    client = OpenAI(base_url=f"{gateway}/v1", api_key=key, max_retries=0)
    return chat_cases(client, models)


def azure(gateway, key, models):
    client = AzureOpenAI(azure_endpoint=gateway, api_key=key, api_version="2024-10-21", max_retries=0)
    cases = chat_cases(client, models)
    kept = ("plain", "stream", "tools", "unknown_model", "bad_request", "rate_limit")
    cases = {name: cases[name] for name in kept}
    cases["embeddings"] = embedding_cases(client, models)["many"]
    return cases


def chat_cases(client, models):
    create = client.chat.completions.create
    alias = models["chat"]

    def plain():
        answer = create(model=alias, messages=user(QUESTION))
        choice = answer.choices[0]
        assert "refunds" in choice.message.content, choice
        equal(choice.finish_reason, "stop")
        usage = answer.usage
        equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
        assert usage.prompt_tokens > 0 and usage.completion_tokens > 0

    def stream():
        expected = create(model=alias, messages=user(QUESTION)).choices[0].message.content
        chunks = list(create(model=alias, messages=user(QUESTION), stream=True,
                             stream_options={"include_usage": True}))
        pieces = [c.choices[0].delta.content or "" for c in chunks if c.choices]
        equal("".join(pieces), expected)
        equal([c.choices[0].finish_reason for c in chunks if c.choices][-1], "stop")
        assert chunks[-1].usage.completion_tokens > 0
        equal(len({c.id for c in chunks if c.id}), 1)

    def turns():
        messages = [{"role": "system", "content": INSTRUCTION}]
        messages += [{"role": role, "content": text} for role, text in EARLIER]
        equal(create(model=alias, messages=messages).choices[0].message.content, TRANSCRIPT)

    def tools(question=TOOL_QUESTION, count=1, expected=ONE_RESULT):
        messages = user(question)
        choice = create(model=alias, messages=messages, tools=[TOOL]).choices[0]
        equal(choice.finish_reason, "tool_calls")
        calls = choice.message.tool_calls
        equal([json.loads(call.function.arguments) for call in calls], [{"city": c} for c in CITIES[:count]])
        messages.append(choice.message.model_dump(exclude_none=True, exclude={"annotations"}))
        messages += [{"role": "tool", "tool_call_id": call.id, "content": text} for call, text in zip(calls, DEGREES)]
        choice = create(model=alias, messages=messages, tools=[TOOL]).choices[0]
        equal(choice.message.content, expected)

    def tools_stream():
        with client.chat.completions.stream(model=alias, messages=user(BOTH_QUESTION), tools=[
            {"type": "function", "function": {**TOOL["function"], "strict": True}},
        ]) as stream:
            for _ in stream:
                pass
            choice = stream.get_final_completion().choices[0]
        equal(choice.finish_reason, "tool_calls")
        calls = [json.loads(call.function.arguments) for call in choice.message.tool_calls]
        equal(calls, [{"city": c} for c in CITIES])

    def tool_choice():
        forced = {"type": "function", "function": {"name": "weather"}}
        choice = create(model=alias, messages=user(QUESTION), tools=[TOOL], tool_choice=forced).choices[0]
        equal(choice.message.tool_calls[0].function.name, "weather")
        choice = create(model=alias, messages=user(QUESTION), tools=[TOOL], tool_choice="required").choices[0]
        equal(choice.message.tool_calls[0].function.name, "weather")

    def image():
        content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": IMAGE_URL}}]
        equal(create(model=alias, messages=user(content)).choices[0].message.content, SEEN)

    def json_schema():
        form = {"type": "json_schema", "json_schema": {"name": "forecast", "schema": FORECAST, "strict": True}}
        answer = create(model=alias, messages=user("The forecast?"), response_format=form)
        equal(json.loads(answer.choices[0].message.content), FORECAST_VALUE)

    def length():
        choice = create(model=alias, messages=user(QUESTION), max_completion_tokens=16).choices[0]
        equal(choice.finish_reason, "length")

    def reasoning():
        answer = create(model=models["thinker"], messages=user(QUESTION), reasoning_effort="low")
        assert "refunds" in answer.choices[0].message.content
        assert answer.usage.completion_tokens > 0

    def stop():
        choice = create(model=alias, messages=user(QUESTION), stop=["refunds"]).choices[0]
        assert choice.message.content and "refunds" not in choice.message.content
        equal(choice.finish_reason, "stop")

    def cached():
        messages = [{"role": "system", "content": LONG}] + user(QUESTION)
        first, second = [create(model=alias, messages=messages).usage for _ in range(2)]
        equal(first.prompt_tokens, second.prompt_tokens)
        assert 0 < second.prompt_tokens_details.cached_tokens < second.prompt_tokens, second

    def unmappable():
        refused = raises(BadRequestError, lambda: create(model=alias, messages=user(QUESTION), logit_bias={"50256": -9}),
                         "unsupported_parameter")
        equal(refused.param, "logit_bias")
        answer = client.chat.completions.with_raw_response.create(
            model=models["lenient"], messages=user(QUESTION), logit_bias={"50256": -9})
        equal(answer.headers["x-tollgate-dropped-parameters"], "logit_bias")
        assert "refunds" in answer.parse().choices[0].message.content

    def model_list():
        assert alias in [model.id for model in client.models.list()]

    cases = {"plain": plain, "stream": stream, "turns": turns, "tools": tools,
             "parallel_tools": lambda: tools(BOTH_QUESTION, 2, BOTH_RESULTS), "tools_stream": tools_stream,
             "tool_choice": tool_choice, "image": image, "json_schema": json_schema, "length": length,
             "stop": stop, "cached": cached,
             "reasoning": reasoning, "unmappable": unmappable, "model_list": model_list}
    return cases | errors(lambda model: create(model=model, messages=user(QUESTION)), models)


def responses(gateway, key, models):
    client = OpenAI(base_url=f"{gateway}/v1", api_key=key, max_retries=0)
    create = client.responses.create
    alias = models["chat"]

    def plain():
        answer = create(model=alias, input=QUESTION)
        assert "refunds" in answer.output_text
        equal(answer.status, "completed")
        usage = answer.usage
        equal(usage.total_tokens, usage.input_tokens + usage.output_tokens)

    def stream():
        expected = create(model=alias, input=QUESTION).output_text
        with client.responses.stream(model=alias, input=QUESTION) as events:
            seen = list(events)
            equal(events.get_final_response().output_text, expected)
        deltas = [event.delta for event in seen if event.type == "response.output_text.delta"]
        equal("".join(deltas), expected)
        equal([event.sequence_number for event in seen], list(range(len(seen))))
        equal((seen[0].type, seen[-1].type), ("response.created", "response.completed"))

    def turns():
        items = [{"role": role, "content": text} for role, text in EARLIER]
        equal(create(model=alias, instructions=INSTRUCTION, input=items).output_text, TRANSCRIPT)

    def tools(question=TOOL_QUESTION, count=1, expected=ONE_RESULT):
        items = user(question)
        answer = create(model=alias, input=items, tools=[FLAT_TOOL])
        calls = [item for item in answer.output if item.type == "function_call"]
        equal([json.loads(call.arguments) for call in calls], [{"city": c} for c in CITIES[:count]])
        items += [item.model_dump(exclude_none=True) for item in answer.output]
        items += [{"type": "function_call_output", "call_id": call.call_id, "output": text}
                  for call, text in zip(calls, DEGREES)]
        equal(create(model=alias, input=items, tools=[FLAT_TOOL]).output_text, expected)

    def tools_stream():
        with client.responses.stream(model=alias, input=BOTH_QUESTION, tools=[FLAT_TOOL]) as events:
            for _ in events:
                pass
            output = events.get_final_response().output
        calls = [json.loads(item.arguments) for item in output if item.type == "function_call"]
        equal(calls, [{"city": c} for c in CITIES])

    def image():
        content = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": IMAGE_URL}]
        equal(create(model=alias, input=user(content)).output_text, SEEN)

    def json_schema():
        form = {"type": "json_schema", "name": "forecast", "schema": FORECAST, "strict": True}
        answer = create(model=alias, input="The forecast?", text={"format": form})
        equal(json.loads(answer.output_text), FORECAST_VALUE)

    def length():
        answer = create(model=alias, input=QUESTION, max_output_tokens=16)
        equal((answer.status, answer.incomplete_details.reason), ("incomplete", "max_output_tokens"))

    def reasoning():
        answer = create(model=models["thinker"], input=QUESTION, reasoning={"effort": "low", "summary": "auto"})
        assert "refunds" in answer.output_text
        thoughts = [item for item in answer.output if item.type == "reasoning"]
        assert "I know this" in thoughts[0].summary[0].text, answer.output

    def previous():
        first = create(model=alias, input="My name is Ada.")
        second = create(model=alias, input="Please repeat everything.", previous_response_id=first.id)
        lines = second.output_text.split("\n")
        equal((lines[0], lines[-1]), ("user: My name is Ada.", "user: Please repeat everything."))

    def kept():
        answer = create(model=alias, input=QUESTION)
        equal(client.responses.retrieve(answer.id).output_text, answer.output_text)
        assert client.responses.input_items.list(answer.id)
        client.responses.delete(answer.id)
        raises(NotFoundError, lambda: client.responses.retrieve(answer.id))

    def cancel():
        answer = create(model=alias, input=QUESTION)
        raises(BadRequestError, lambda: client.responses.cancel(answer.id))

    def background():
        begun = create(model=alias, input=QUESTION, background=True)
        equal(begun.status, "queued")
        ended = client.responses.retrieve(begun.id)
        equal((ended.id, ended.status), (begun.id, "completed"))
        assert ended.usage.output_tokens > 0
        events = list(client.responses.retrieve(begun.id, stream=True))
        equal(events[-1].type, "response.completed")
        equal(client.responses.cancel(begun.id).status, "completed")
        create(model=alias, input=QUESTION, background=False)

    cases = {"plain": plain, "stream": stream, "turns": turns, "tools": tools,
             "parallel_tools": lambda: tools(BOTH_QUESTION, 2, BOTH_RESULTS), "tools_stream": tools_stream,
             "image": image, "json_schema": json_schema, "length": length, "reasoning": reasoning,
             "previous": previous, "kept": kept, "cancel": cancel,
             "background": background}
    return cases | errors(lambda model: create(model=model, input=QUESTION), models)


def completions(gateway, key, models):
    client = OpenAI(base_url=f"{gateway}/v1", api_key=key, max_retries=0)
    create = client.completions.create
    alias = models["completions"]

    def plain():
        answer = create(model=alias, prompt=QUESTION, max_tokens=300)
        assert "refunds" in answer.choices[0].text
        equal(answer.choices[0].finish_reason, "stop")

    def stream():
        expected = create(model=alias, prompt=QUESTION, max_tokens=300).choices[0].text
        chunks = list(create(model=alias, prompt=QUESTION, max_tokens=300, stream=True))
        equal("".join(chunk.choices[0].text for chunk in chunks if chunk.choices), expected)

    def length():
        equal(create(model=alias, prompt=QUESTION, max_tokens=5).choices[0].finish_reason, "length")

    def unknown():
        raises(NotFoundError, lambda: create(model="no-such-model", prompt=QUESTION), "model_not_found")

    return {"plain": plain, "stream": stream, "length": length, "unknown_model": unknown}


def embeddings(gateway, key, models):
    client = OpenAI(base_url=f"{gateway}/v1", api_key=key, max_retries=0)
    return embedding_cases(client, models)


def embedding_cases(client, models):
    create = client.embeddings.create
    alias = models.get("embeddings")

    def one():
        answer = create(model=alias, input="a ledger")
        assert len(answer.data[0].embedding) >= 256
        assert answer.usage.prompt_tokens > 0

    def many():
        answer = create(model=alias, input=["a ledger", "a spool"], encoding_format="float")
        equal([item.index for item in answer.data], [0, 1])
        assert answer.data[0].embedding != answer.data[1].embedding
        equal(create(model=alias, input="a spool", encoding_format="float").data[0].embedding,
              answer.data[1].embedding)

    def dimensions():
        equal(len(create(model=alias, input="a ledger", dimensions=256).data[0].embedding), 256)

    def unknown():
        raises(NotFoundError, lambda: create(model="no-such-model", input="x"), "model_not_found")

    return {"one": one, "many": many, "dimensions": dimensions, "unknown_model": unknown}


run({"chat": chat, "azure": azure, "responses": responses, "completions": completions, "embeddings": embeddings})
