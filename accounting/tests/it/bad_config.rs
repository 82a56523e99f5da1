//! A program that cannot work as told says so at once: place, message, what was probably meant, exit code 2.

use std::process::Command;

/// What the program says about that file before it ends with the exit code of a bad configuration.
fn complaint(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("accounting.yaml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-accounting"));
    command.args(["--config", "accounting.yaml", "check"]).current_dir(folder.path());
    let output = command.env_remove("A_SECRET_THAT_IS_NOT_SET").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    said
}

const STORE: &str = "store: { embedded: { path: ledger } }\nprice_book: nowhere.yaml\n";

#[test]
fn an_unknown_field_is_named_with_file_line_column_and_what_was_meant() {
    let said =
        complaint(&format!("{STORE}events: {{ embedded: {{ path: log }} }}\nlisten_on: 127.0.0.1:1\n"));
    assert!(said.starts_with("tollgate-accounting: accounting.yaml:4:1: "), "{said}");
    assert!(said.contains("did you mean `listen`?"), "{said}");
}

#[test]
fn a_missing_secret_of_the_event_log_is_named_by_its_property_and_never_shown() {
    let said = complaint(&format!(
        "{STORE}events: {{ kafka: {{ brokers: [k], properties: {{ sasl.password: 'hunter2${{secret:env:A_SECRET_THAT_IS_NOT_SET}}' }} }} }}\n"
    ));
    assert!(said.contains("events.kafka.properties.sasl.password: environment variable A_SECRET"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
