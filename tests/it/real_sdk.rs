//! The official Python SDK of OpenAI talks to the gateway with a changed address and key, and nothing else.

use std::process::Command;

use tollgate_tests::harness::{install, keys};

use crate::support::usual;

/// Prints what it got, one line a step; any surprise is an exception.
const SCRIPT: &str = r#"
import os
from openai import NotFoundError, OpenAI

client = OpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], max_retries=0)
messages = [{"role": "user", "content": "What is a ledger?"}]

answer = client.chat.completions.create(model="chat", messages=messages)
print("chat", answer.choices[0].message.role, answer.usage.total_tokens > 0)
plain = answer.choices[0].message.content

pieces = [chunk.choices[0].delta.content or "" for chunk in
          client.chat.completions.create(model="chat", messages=messages, stream=True)]
print("stream", "".join(pieces) == plain)

last = list(client.chat.completions.create(model="chat", messages=messages, stream=True,
                                           stream_options={"include_usage": True}))[-1]
print("usage", last.usage.completion_tokens > 0)

print("models", ",".join(sorted(model.id for model in client.models.list())))
try:
    client.chat.completions.create(model="chatt", messages=messages)
except NotFoundError as error:
    print("error", error.code, error.request_id is not None)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_chats_streams_and_lists_models() {
    let python = install::home().join("sdks/python/bin/python");
    if !install::available("the official clients", python.is_file(), "run tests/setup/sdks") {
        return;
    }
    let bed = usual().await;
    for base in ["/v1", "/llm/v1"] {
        let mut command = Command::new(&python);
        command.args(["-c", SCRIPT]).env("BASE_URL", format!("http://{}{base}", bed.gateway.addr()));
        command.env("API_KEY", keys::text("checkout"));
        let done = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let (said, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        let expected =
            "chat assistant True\nstream True\nusage True\nmodels chat,large\nerror model_not_found True\n";
        assert_eq!(said, expected, "{errors}");
    }
}
