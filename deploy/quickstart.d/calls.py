#!/usr/bin/env python3
"""A handful of chat calls of three teams through a running gateway, printed for a person.

Standard library only. Reads the addresses and keys that deploy/quickstart wrote (--run DIR/run.json), makes the
calls one after the other and waits until accounting has a row for each. Ends with 1 when an answer is not what
it has to be, so that the quickstart is a test as well.
"""

import argparse
import http.client
import json
import os
import sys
import textwrap
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

CALL_TIMEOUT_S = 120
SETTLE_TIMEOUT_S = 60
BOLD, DIM, RED, RESET = (
    ("\033[1m", "\033[2m", "\033[31m", "\033[0m")
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ
    else ("", "", "", "")
)


# Some 300 tokens: with its answer more than half of what the product `trial` allows a minute.
TICKET = "Summarise this ticket. " + " ".join(
    f"On day {day} the customer wrote that parcel {day} arrived late, that the box was damaged, and that nobody answered the phone."
    for day in range(1, 11)
)


class Unexpected(Exception):
    """An answer that is not what it has to be."""


@dataclass
class Step:
    """One call and what must come of it."""

    team: str
    model: str
    question: str
    note: str = ""
    stream: bool = False
    max_tokens: int = 120
    status: int = 200
    cache: str | None = None  # what x-tollgate-cache must say
    stored: bool = False  # whether to wait until the cache has the answer


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict
    text: str = ""
    usage: dict | None = None
    error: dict | None = None
    chunks: int = 0
    first_ms: float = 0.0
    total_ms: float = 0.0
    body: bytes = field(default=b"", repr=False)


def script(local_model: bool) -> list[Step]:
    """The calls, in order."""
    steps = [
        Step("checkout", "chat", "Explain in two sentences why refunds take a few days."),
        Step("search", "chat", "Describe how a search index works.", note="streamed", stream=True),
        Step("support", "faq", "How do I reset my password?", cache="miss", stored=True),
        Step("support", "faq", "How do I reset my password?", note="the same question again", cache="hit-exact"),
        Step("support", "faq", "How can I reset my password?", note="in other words", cache="hit-semantic"),
        Step("support", "chat", TICKET, note="most of its limit of 600 tokens a minute"),
        Step("support", "chat", TICKET, note="more than is left of it", status=429),
    ]
    if local_model:
        steps += [
            Step("checkout", "local", "What is the capital of France?", note="a real model", max_tokens=48),
            Step("search", "local", "Name three colours.", note="a real model, streamed", stream=True, max_tokens=48),
        ]
    return steps


def call(gateway: str, key: str, step: Step) -> Answer:
    """Makes one chat call as any OpenAI client would."""
    url = urllib.parse.urlsplit(gateway)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=CALL_TIMEOUT_S)
    body = {
        "model": step.model,
        "max_tokens": step.max_tokens,
        "messages": [{"role": "user", "content": step.question}],
    }
    if step.stream:
        body["stream"] = True
    started = time.monotonic()
    try:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", url.path.rstrip("/") + "/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()})
        if step.stream and response.status == 200:
            read_stream(response, answer, started)
        else:
            read_whole(response, answer)
    finally:
        connection.close()
    answer.total_ms = (time.monotonic() - started) * 1000
    return answer


def read_whole(response: http.client.HTTPResponse, answer: Answer) -> None:
    answer.body = response.read()
    try:
        document = json.loads(answer.body)
    except ValueError as error:
        raise Unexpected(f"status {answer.status} with a body that is not JSON: {answer.body[:200]!r}") from error
    answer.error = document.get("error")
    if answer.status == 200:
        answer.text = document["choices"][0]["message"]["content"]
        answer.usage = document.get("usage")


def read_stream(response: http.client.HTTPResponse, answer: Answer, started: float) -> None:
    done = False
    for raw in response:
        line = raw.decode().strip()
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            done = True
            continue
        chunk = json.loads(data)
        for choice in chunk.get("choices", []):
            text = choice.get("delta", {}).get("content") or ""
            if text:
                answer.first_ms = answer.first_ms or (time.monotonic() - started) * 1000
                answer.chunks += 1
                answer.text += text
    if not done:
        raise Unexpected("the stream ended without [DONE]")


def check(step: Step, answer: Answer, fresh: bool) -> None:
    """Raises when the answer is not what the step asks for."""
    if answer.status != step.status:
        raise Unexpected(f"status {answer.status} instead of {step.status}: {answer.error or answer.body[:300]!r}")
    if step.status == 200 and not answer.text:
        raise Unexpected("the answer is empty")
    if step.status == 429 and not (answer.error or {}).get("code"):
        raise Unexpected(f"the refusal has no code: {answer.body[:300]!r}")
    if step.stream and answer.chunks < 2:
        raise Unexpected(f"the stream came in {answer.chunks} chunk")
    said = answer.headers.get("x-tollgate-cache")
    # A run folder that was used before has the answer in its cache already.
    if step.cache and said != step.cache and (fresh or step.cache != "miss"):
        raise Unexpected(f"x-tollgate-cache says {said} instead of {step.cache}")


def show(number: int, step: Step, answer: Answer) -> None:
    facts = [f"{answer.status}", f"{answer.total_ms:.0f} ms"]
    if answer.usage:
        facts.append(f"{answer.usage['prompt_tokens']} + {answer.usage['completion_tokens']} tokens")
    if answer.chunks:
        facts.append(f"{answer.chunks} chunks, the first after {answer.first_ms:.0f} ms")
    if answer.headers.get("x-tollgate-cache", "bypass") != "bypass":
        facts.append("cache: " + answer.headers["x-tollgate-cache"])
    note = f" ({step.note})" if step.note else ""
    print(f"  {number}  {BOLD}{step.team} → {step.model}{RESET}{note}   {DIM}{' · '.join(facts)}{RESET}")
    print(f"     {DIM}»{RESET} {textwrap.shorten(step.question, 95, placeholder=' …')}")
    if answer.error:
        retry = answer.headers.get("retry-after")
        text = f"refused: {answer.error.get('message')} [{answer.error.get('code')}]"
        text += f", retry after {retry} s" if retry else ""
    else:
        text = answer.text
    for line in textwrap.wrap(textwrap.shorten(text, 300, placeholder=" …"), 100):
        print(f"     {line}")
    print(flush=True)


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read()


def wait_for(what: str, condition) -> None:
    """Polls until the condition holds; an error of the connection counts as not yet."""
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    problem = ""
    while time.monotonic() < deadline:
        try:
            if condition():
                return
            problem = ""
        except (urllib.error.URLError, ConnectionError, ValueError, KeyError) as error:
            problem = f" ({error})"
        time.sleep(0.1)
    raise Unexpected(f"{what} did not happen within {SETTLE_TIMEOUT_S} s{problem}")


def stored(run: dict) -> int:
    """Records of the cache topic that the cache service has dealt with."""
    lines = fetch(run["cache"] + "/metrics").decode().splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("tollgate_cache_records_total"))


def rows(run: dict) -> int:
    """Requests in this month's chargeback report."""
    month = time.strftime("%Y-%m", time.gmtime())
    report = json.loads(fetch(f"{run['accounting']}/v1/reports/chargeback?month={month}&by=team&format=json"))
    return sum(int(line["requests"]) for line in report["rows"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", required=True, help="the run folder")
    folder = parser.parse_args().run
    with open(os.path.join(folder, "run.json"), encoding="utf-8") as file:
        run = json.load(file)
    with open(os.path.join(folder, "keys.json"), encoding="utf-8") as file:
        keys = json.load(file)

    rows_before = rows(run)
    steps = script(run["local_model"])
    for number, step in enumerate(steps, 1):
        try:
            stored_before = stored(run) if step.stored else 0
            answer = call(run["gateway"], keys[step.team], step)
            show(number, step, answer)
            check(step, answer, run["fresh"])
            if step.stored and answer.headers.get("x-tollgate-cache") == "miss":
                wait_for("storing the answer in the cache", lambda: stored(run) > stored_before)
        except (Unexpected, OSError, ValueError, LookupError) as error:
            print(f"     {RED}call {number} failed: {error}{RESET}", file=sys.stderr)
            return 1
    try:
        wait_for(f"accounting for {len(steps)} calls", lambda: rows(run) >= rows_before + len(steps))
    except Unexpected as error:
        print(f"     {RED}{error}; accounting has {rows(run) - rows_before} rows{RESET}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
