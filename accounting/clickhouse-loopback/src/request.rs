//! From an HTTP request of ClickHouse's protocol to a statement.
//!
//! Understood: `query` in the URL with the body as data or as the rest of the statement; the statement in
//! the body; parameters as `param_name` in the URL or as parts of a multipart body; `database`;
//! `default_format`; settings as further URL parameters; LZ4 bodies with `decompress=1`.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use multer::Multipart;

use super::lz4;

/// Largest body, bytes, packed or plain.
pub(super) const MAX_BODY: usize = 256 << 20;
/// Most parts of a form: a statement and its parameters.
const MAX_PARTS: usize = 1000;

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// Database to select before.
    pub(super) database: Option<String>,
    /// Settings for this statement alone.
    pub(super) settings: Vec<(String, String)>,
    /// Values for `{name:Type}`.
    pub(super) parameters: Vec<(String, String)>,
    /// The statement itself.
    pub(super) kind: Kind,
}

/// A statement with its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// `INSERT INTO table (columns)` with rows in `format`.
    Insert { sql: String, format: String, data: Bytes },
    /// Anything else; `format` is that of the answer unless the statement names one.
    Query { sql: String, format: String },
}

/// URL parameters that are no settings. Credentials are accepted and ignored: whoever reaches a loopback
/// port is on this machine.
const NOT_SETTINGS: [&str; 13] = [
    "query",
    "database",
    "default_format",
    "compress",
    "decompress",
    "query_id",
    "session_id",
    "session_timeout",
    "wait_end_of_query",
    "buffer_size",
    "user",
    "password",
    "role",
];

/// Reads a request.
pub(super) async fn read(
    url: Vec<(String, String)>,
    content_type: &str,
    body: Bytes,
) -> Result<Statement, String> {
    let flag = |name: &str| url.iter().any(|(key, value)| key == name && value == "1");
    let mut body = if flag("decompress") { lz4::unpack(&body, MAX_BODY)?.into() } else { body };
    let mut fields = url;
    if let Ok(boundary) = multer::parse_boundary(content_type) {
        fields.extend(form(std::mem::take(&mut body), boundary).await?);
    }
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let format = field("default_format").unwrap_or_else(|| "TabSeparated".to_owned());
    Ok(Statement {
        database: field("database"),
        settings: settings(&fields)?,
        parameters: parameters(&fields),
        kind: kind(field("query"), body, format)?,
    })
}

/// The text parts of a `multipart/form-data` body.
async fn form(body: Bytes, boundary: String) -> Result<Vec<(String, String)>, String> {
    let mut parts = Multipart::new(stream::iter([Ok::<_, Infallible>(body)]), boundary);
    let mut fields = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(|error| error.to_string())? {
        if fields.len() == MAX_PARTS {
            return Err(format!("the form has more than {MAX_PARTS} parts"));
        }
        let name = part.name().ok_or("a part of the form has no name")?.to_owned();
        let value = part.bytes().await.map_err(|error| error.to_string())?;
        let value = String::from_utf8(value.into()).map_err(|_| "the form is not UTF-8".to_owned())?;
        fields.push((name, value));
    }
    Ok(fields)
}

fn settings(fields: &[(String, String)]) -> Result<Vec<(String, String)>, String> {
    let named = fields
        .iter()
        .filter(|(name, _)| !NOT_SETTINGS.contains(&name.as_str()) && !name.starts_with("param_"));
    named
        .map(|(name, value)| {
            let word = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if word { Ok((name.clone(), value.clone())) } else { Err(format!("`{name}` is not a setting")) }
        })
        .collect()
}

fn parameters(fields: &[(String, String)]) -> Vec<(String, String)> {
    let named = fields.iter().filter_map(|(name, value)| Some((name.strip_prefix("param_")?, value)));
    named.map(|(name, value)| (name.to_owned(), value.clone())).collect()
}

fn kind(query: Option<String>, body: Bytes, format: String) -> Result<Kind, String> {
    let Some(mut sql) = query else {
        let sql = String::from_utf8(body.into()).map_err(|_| "the statement is not UTF-8".to_owned())?;
        return Ok(Kind::Query { sql, format });
    };
    if let Some((head, data_format)) = insert_head(&sql) {
        return Ok(Kind::Insert { sql: head, format: data_format, data: body });
    }
    if !body.is_empty() {
        sql.push('\n');
        sql.push_str(std::str::from_utf8(&body).map_err(|_| "the statement is not UTF-8".to_owned())?);
    }
    Ok(Kind::Query { sql, format })
}

/// Cuts `INSERT INTO t (a) FORMAT f` into the part before `FORMAT` and the format. Rows without a named
/// format, and `INSERT … SELECT`, are left to the engine.
fn insert_head(sql: &str) -> Option<(String, String)> {
    let sql = sql.trim().trim_end_matches(';').trim_end();
    let first = sql.get(..6)?;
    if !first.eq_ignore_ascii_case("insert") {
        return None;
    }
    let (head, format) = sql.rsplit_once(char::is_whitespace)?;
    let (head, keyword) = head.trim_end().rsplit_once(char::is_whitespace)?;
    let word = format.bytes().all(|b| b.is_ascii_alphanumeric());
    (keyword.eq_ignore_ascii_case("format") && word).then(|| (head.trim_end().to_owned(), format.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// Reads what is there as a whole: nothing is waited for.
    fn read(
        url: Vec<(String, String)>,
        content_type: &str,
        body: impl Into<Bytes>,
    ) -> Result<Statement, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(super::read(url, content_type, body.into()))
    }

    fn query(sql: &str, format: &str) -> Kind {
        Kind::Query { sql: sql.to_owned(), format: format.to_owned() }
    }

    #[test]
    fn a_statement_may_be_in_the_body_in_the_url_or_in_both() {
        let kind = |pairs: &[(&str, &str)], body: &str| read(url(pairs), "", body.to_owned()).unwrap().kind;
        assert_eq!(kind(&[("default_format", "RowBinary")], "SELECT 1"), query("SELECT 1", "RowBinary"));
        assert_eq!(kind(&[("query", "SELECT 1")], ""), query("SELECT 1", "TabSeparated"));
        assert_eq!(kind(&[("query", "SELECT")], "1"), query("SELECT\n1", "TabSeparated"));
    }

    #[test]
    fn rows_of_an_insert_come_in_the_body() {
        let sql = "INSERT INTO t(`a`,`b`) FORMAT RowBinaryWithNamesAndTypes";
        let statement = read(url(&[("query", sql)]), "", vec![0xff, 0]).unwrap();
        let expected = Kind::Insert {
            sql: "INSERT INTO t(`a`,`b`)".to_owned(),
            format: "RowBinaryWithNamesAndTypes".to_owned(),
            data: vec![0xff, 0].into(),
        };
        assert_eq!(statement.kind, expected);
    }

    #[test]
    fn inserts_without_a_format_are_left_to_the_engine() {
        for sql in
            ["INSERT INTO t VALUES (1)", "insert into t select * from format", "INSERT INTO t SELECT 1"]
        {
            assert_eq!(insert_head(sql), None, "{sql}");
        }
    }

    #[test]
    fn further_url_parameters_are_settings_of_the_statement() {
        let pairs = url(&[("database", "d"), ("max_threads", "2"), ("param_x", "5"), ("user", "u")]);
        let statement = read(pairs, "", b"SELECT {x:UInt8}".to_vec()).unwrap();
        assert_eq!(statement.database.as_deref(), Some("d"));
        assert_eq!(statement.settings, url(&[("max_threads", "2")]));
        assert_eq!(statement.parameters, url(&[("x", "5")]));
        assert!(read(url(&[("a b", "1")]), "", vec![]).is_err());
    }

    #[test]
    fn parameters_may_come_as_a_form() {
        let body = "--B\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT {x:String}\r\n\
            --B\r\nContent-Disposition: form-data; name=\"param_x\"\r\n\r\na\r\nb\r\n--B--\r\n";
        let statement = read(vec![], "multipart/form-data; boundary=B", body).unwrap();
        assert_eq!(statement.kind, query("SELECT {x:String}", "TabSeparated"));
        assert_eq!(statement.parameters, url(&[("x", "a\r\nb")]));
    }

    #[test]
    fn a_form_that_is_cut_off_or_has_a_part_without_a_name_is_refused() {
        let part = "--B\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT 1";
        let nameless = "--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--\r\n";
        for body in [part, nameless] {
            assert!(read(vec![], "multipart/form-data; boundary=B", body).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn hostile_requests_never_panic(
            sql in "\\PC{0,40}", body in proptest::collection::vec(any::<u8>(), 0..80), form in any::<bool>()
        ) {
            let content_type = if form { "multipart/form-data; boundary=-" } else { "" };
            let _ = read(url(&[("query", &sql)]), content_type, body);
        }
    }
}
