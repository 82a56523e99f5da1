"""The official Python client of Anthropic."""

import json

from anthropic import Anthropic, BadRequestError, NotFoundError, RateLimitError

from matrix import (
    BOTH_QUESTION, BOTH_RESULTS, CITIES, DEGREES, EARLIER, FORECAST, FORECAST_VALUE, INSTRUCTION, LONG,
    ONE_RESULT, PNG_BASE64, QUESTION, SEEN, TOOL_QUESTION, TRANSCRIPT, WEATHER, equal, raises, run,
)

TOOL = {"name": "weather", "description": "Weather of a city", "input_schema": WEATHER}


def user(content):
    return [{"role": "user", "content": content}]


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def messages(gateway, key, models):
    client = Anthropic(base_url=gateway, api_key=key, max_retries=0)
    alias = models["chat"]

    def create(model=alias, **more):
        return client.messages.create(**({"model": model, "max_tokens": 1000, "messages": user(QUESTION)} | more))

    def plain():
        answer = create()
        assert "refunds" in text_of(answer)
        equal((answer.stop_reason, answer.role, answer.type), ("end_turn", "assistant", "message"))
        assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0

    def stream():
        expected = text_of(create())
        with client.messages.stream(model=alias, max_tokens=1000, messages=user(QUESTION)) as events:
            equal("".join(events.text_stream), expected)
            final = events.get_final_message()
        equal((text_of(final), final.stop_reason), (expected, "end_turn"))
        assert final.usage.output_tokens > 0

    def turns():
        said = [{"role": role, "content": text} for role, text in EARLIER]
        equal(text_of(create(system=INSTRUCTION, messages=said)), TRANSCRIPT)

    def tools(question=TOOL_QUESTION, count=1, expected=ONE_RESULT):
        said = user(question)
        answer = create(messages=said, tools=[TOOL])
        equal(answer.stop_reason, "tool_use")
        calls = [block for block in answer.content if block.type == "tool_use"]
        equal([call.input for call in calls], [{"city": c} for c in CITIES[:count]])
        said.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]})
        said += user([{"type": "tool_result", "tool_use_id": call.id, "content": text}
                      for call, text in zip(calls, DEGREES)])
        equal(text_of(create(messages=said, tools=[TOOL])), expected)

    def tools_stream():
        with client.messages.stream(model=alias, max_tokens=1000, messages=user(BOTH_QUESTION), tools=[TOOL]) as events:
            final = events.get_final_message()
        equal(final.stop_reason, "tool_use")
        equal([block.input for block in final.content if block.type == "tool_use"], [{"city": c} for c in CITIES])

    def tool_choice():
        answer = create(tools=[TOOL], tool_choice={"type": "tool", "name": "weather"})
        equal([block.name for block in answer.content if block.type == "tool_use"], ["weather"])
        answer = create(tools=[TOOL], tool_choice={"type": "any"})
        equal([block.name for block in answer.content if block.type == "tool_use"], ["weather"])

    def image():
        source = {"type": "base64", "media_type": "image/png", "data": PNG_BASE64}
        content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
        equal(text_of(create(messages=user(content))), SEEN)

    def json_schema():
        form = {"format": {"type": "json_schema", "schema": FORECAST}}
        equal(json.loads(text_of(create(messages=user("The forecast?"), output_config=form))), FORECAST_VALUE)

    def length():
        equal(create(max_tokens=8).stop_reason, "max_tokens")

    def stop_sequence():
        answer = create(stop_sequences=["refunds"])
        assert "refunds" not in text_of(answer)
        equal((answer.stop_reason, answer.stop_sequence), ("stop_sequence", "refunds"))

    def reasoning():
        thinking = {"type": "enabled", "budget_tokens": 1024}
        answer = create(model=models["thinker"], max_tokens=4000, thinking=thinking)
        assert "refunds" in text_of(answer)
        equal([block.type for block in answer.content], ["thinking", "text"])
        assert "I know this" in answer.content[0].thinking

    def reasoning_tools():
        thinking = {"type": "enabled", "budget_tokens": 1024}
        more = {"model": models["thinker"], "max_tokens": 4000, "thinking": thinking, "tools": [TOOL]}
        said = user(TOOL_QUESTION)
        with client.messages.stream(messages=said, **more) as events:
            answer = events.get_final_message()
        call = [block for block in answer.content if block.type == "tool_use"][0]
        said.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]})
        said += user([{"type": "tool_result", "tool_use_id": call.id, "content": DEGREES[0]}])
        equal(text_of(create(messages=said, **more)), ONE_RESULT)

    def cached():
        system = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
        first, second = [create(system=system).usage for _ in range(2)]
        assert second.cache_read_input_tokens > 0 and second.input_tokens > 0, second
        everything = [u.input_tokens + u.cache_read_input_tokens + u.cache_creation_input_tokens
                      for u in (first, second)]
        equal(everything[0], everything[1])

    def count_tokens():
        counted = client.messages.count_tokens(model=alias, messages=user(QUESTION))
        assert 0 < counted.input_tokens < 100

    def model_list():
        assert alias in [model.id for model in client.models.list()]

    def unknown():
        error = raises(NotFoundError, lambda: create(model="no-such-model"))
        equal(error.body["error"]["type"], "not_found_error")

    def rate_limit():
        error = raises(RateLimitError, lambda: create(model=models["busy"]))
        equal(error.body["error"]["type"], "rate_limit_error")

    def bad_request():
        error = raises(BadRequestError, lambda: create(model=models["broken"]))
        equal(error.body["error"]["type"], "invalid_request_error")

    return {"plain": plain, "stream": stream, "turns": turns, "tools": tools,
            "parallel_tools": lambda: tools(BOTH_QUESTION, 2, BOTH_RESULTS), "tools_stream": tools_stream,
            "tool_choice": tool_choice, "image": image, "json_schema": json_schema, "length": length,
            "stop_sequence": stop_sequence, "reasoning": reasoning, "reasoning_tools": reasoning_tools,
            "cached": cached, "count_tokens": count_tokens, "model_list": model_list, "unknown_model": unknown,
            "rate_limit": rate_limit, "bad_request": bad_request}


run({"messages": messages})
