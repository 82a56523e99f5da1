//! A program that cannot work as told says so at once: place, message, what was probably meant, exit code 2.

use std::process::Command;

/// What the program says about that file before it ends with the exit code of a bad configuration.
fn complaint(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cache.yaml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-cache"));
    command.args(["--config", "cache.yaml"]).current_dir(folder.path());
    let output = command.env_remove("A_SECRET_THAT_IS_NOT_SET").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    said
}

const INDEX: &str = "index: { embedded: { path: entries } }\n";

#[test]
fn an_unknown_field_is_named_with_file_line_column_and_what_was_meant() {
    let said = complaint(&format!("{INDEX}events: {{ embedded: {{ path: log }} }}\nlimit: {{}}\n"));
    assert!(said.starts_with("tollgate-cache: cache.yaml:3:1: "), "{said}");
    assert!(said.contains("did you mean `limits`?"), "{said}");
}

#[test]
fn missing_secrets_are_named_by_their_settings_and_never_shown() {
    let said = complaint(&format!(
        "{INDEX}token: 'hunter1${{secret:env:A_SECRET_THAT_IS_NOT_SET}}'\n\
         events: {{ kafka: {{ brokers: [k], properties: {{ sasl.password: 'hunter2${{secret:env:A_SECRET_THAT_IS_NOT_SET}}' }} }} }}\n"
    ));
    assert!(said.contains("token: environment variable A_SECRET_THAT_IS_NOT_SET"), "{said}");
    assert!(said.contains("events.kafka.properties.sasl.password: "), "{said}");
    assert!(!said.contains("hunter"), "{said}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-cache"));
    let output = command.args(["--config", "/nowhere/cache.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("/nowhere/cache.yaml"));
}
