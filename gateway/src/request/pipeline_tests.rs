//! The order of the phases.

use super::*;

#[test]
fn an_alias_has_one_bound_wherever_it_stands() {
    let format = ClientFormat::Chat;
    for (length, is_read) in [(256, true), (257, false), (65_000, false)] {
        let alias = "a".repeat(length);
        let named = Bytes::from(format!(r#"{{"model":"{alias}","messages":[]}}"#));
        let bare = Bytes::from_static(br#"{"messages":[]}"#);
        assert_eq!(read(format, &named, "application/json", None).is_ok(), is_read, "body, {length}");
        let in_path = read(format, &bare, "application/json", Some(&alias));
        assert_eq!(in_path.is_ok(), is_read, "path, {length}");
    }
}
