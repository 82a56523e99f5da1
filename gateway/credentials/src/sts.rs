//! Temporary keys of an AWS role for a token of the platform: `AssumeRoleWithWebIdentity` of the AWS Security
//! Token Service (API version 2011-06-15), which answers in XML.

use std::sync::Arc;
use std::time::Duration;

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};
use secrecy::ExposeSecret;

use crate::access_key::AccessKey;
use crate::cache::Source;
use crate::clock::Clock;
use crate::config::WebIdentityConfig;
use crate::endpoint::{Answer, Endpoint, TokenClient, read_token_file};
use crate::environment::Environment;
use crate::error::{ConfigureError, CredentialError};
use crate::token::{Fetched, is_code};

/// A role that is assumed with a token file.
pub(crate) struct WebIdentity {
    endpoint: Endpoint,
    role_arn: String,
    session_name: String,
    token_file: Arc<str>,
    client: TokenClient,
    clock: Clock,
}

impl WebIdentity {
    pub(crate) fn new(
        config: &WebIdentityConfig,
        region: &str,
        environment: &Environment,
        client: TokenClient,
        clock: Clock,
    ) -> Result<Self, ConfigureError> {
        let role_arn =
            environment.or(config.role_arn.as_ref(), "aws_sigv4.web_identity.role_arn", "AWS_ROLE_ARN")?;
        let field = "aws_sigv4.web_identity.token_file";
        let token_file = environment.or(config.token_file.as_ref(), field, "AWS_WEB_IDENTITY_TOKEN_FILE")?;
        let named = || environment.get("AWS_ROLE_SESSION_NAME");
        let session_name =
            config.session_name.clone().or_else(named).unwrap_or_else(|| "tollgate".to_owned());
        let url = config.endpoint.clone().unwrap_or_else(|| regional(region));
        let field = "aws_sigv4.web_identity.endpoint";
        let endpoint = Endpoint::new(&url, config.allow_plain_http, field)?;
        Ok(Self { endpoint, role_arn, session_name, token_file: token_file.into(), client, clock })
    }
}

fn regional(region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://sts.{region}.{domain}/")
}

impl Source for WebIdentity {
    type Value = AccessKey;

    async fn fetch(&self) -> Result<Fetched<AccessKey>, CredentialError> {
        let token = read_token_file(&self.token_file).await?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", "AssumeRoleWithWebIdentity")
            .append_pair("Version", "2011-06-15")
            .append_pair("RoleArn", &self.role_arn)
            .append_pair("RoleSessionName", &self.session_name)
            .append_pair("WebIdentityToken", token.expose_secret())
            .finish();
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/xml"))]);
        let answer = self.client.post_form(&self.endpoint, headers, form).await?;
        if answer.status == 200 {
            read_keys(&self.endpoint, &answer, self.clock.unix())
        } else {
            Err(refusal(&self.endpoint, &answer))
        }
    }

    fn endpoint(&self) -> Arc<str> {
        Arc::clone(&self.endpoint.name)
    }
}

fn read_keys(
    endpoint: &Endpoint,
    answer: &Answer,
    unix: Duration,
) -> Result<Fetched<AccessKey>, CredentialError> {
    let names = ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"];
    let [Some(id), Some(secret), Some(session), Some(expiration)] =
        texts_below(&answer.body, "Credentials", names)
    else {
        return Err(endpoint.answer_error("it has no complete <Credentials>"));
    };
    let Ok(until) = expiration.parse::<jiff::Timestamp>() else {
        return Err(endpoint.answer_error("its expiration is not a time"));
    };
    let until = Duration::from_secs(u64::try_from(until.as_second()).unwrap_or(0));
    let life = until.saturating_sub(unix);
    if life.is_zero() {
        return Err(endpoint.answer_error("its keys have expired"));
    }
    let Some(value) = AccessKey::from_parts(id, secret.into(), Some(session.into())) else {
        return Err(endpoint.answer_error("its keys cannot stand in a header"));
    };
    Ok(Fetched { value, life })
}

fn refusal(endpoint: &Endpoint, answer: &Answer) -> CredentialError {
    let [code] = texts_below(&answer.body, "Error", ["Code"]);
    // The service's own word for "ask again": it could not reach the identity provider.
    let passing = code.as_deref() == Some("IDPCommunicationError");
    CredentialError::Refused {
        endpoint: Arc::clone(&endpoint.name),
        status: answer.status,
        transient: passing || matches!(answer.status, 408 | 429 | 500..),
        code: code.filter(|code| is_code(code)).map(Into::into),
        retry_after: answer.retry_after,
    }
}

/// The texts of elements directly or deeper below an element; of a repeated one the last.
fn texts_below<const N: usize>(xml: &[u8], parent: &str, names: [&str; N]) -> [Option<String>; N] {
    let mut found = [const { None }; N];
    let Ok(xml) = std::str::from_utf8(xml) else { return found };
    let mut reader = Reader::from_str(xml);
    let mut inside = false;
    let mut current: Option<usize> = None;
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) => {
                let name = tag.local_name();
                inside |= name.as_ref() == parent;
                current = names.iter().position(|wanted| inside && *wanted == name.as_ref());
                if let Some(text) = current.and_then(|index| found.get_mut(index)) {
                    *text = Some(String::new());
                }
            }
            Ok(Event::End(tag)) => {
                inside &= tag.local_name().as_ref() != parent;
                current = None;
            }
            Ok(Event::Text(text)) => {
                let slot = current.and_then(|index| found.get_mut(index)?.as_mut());
                if let Some(slot) = slot {
                    slot.push_str(text.trim());
                }
            }
            Ok(Event::GeneralRef(reference)) => {
                let slot = current.and_then(|index| found.get_mut(index)?.as_mut());
                match (slot, character(&reference)) {
                    (Some(slot), Some(character)) => slot.push(character),
                    (Some(_), None) => return [const { None }; N],
                    (None, _) => {}
                }
            }
            Ok(Event::Eof) | Err(_) => return found,
            Ok(_) => {}
        }
    }
}

/// The character that `&amp;`, `&#43;` and the like stand for.
fn character(reference: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Some(character);
    }
    resolve_predefined_entity(reference)?.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIX: Duration = Duration::from_secs(1_414_100_000);

    fn endpoint() -> Endpoint {
        Endpoint::new(&regional("us-east-1"), false, "endpoint").unwrap()
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, retry_after: None, body: bytes::Bytes::copy_from_slice(body.as_bytes()) }
    }

    /// As in AWS's reference of the operation, shortened.
    const KEYS: &str = r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <SubjectFromWebIdentityToken>amzn1.account.AF6RHO7KZU5XRVQJGXK6HB56KR2A</SubjectFromWebIdentityToken>
    <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/app1</Arn></AssumedRoleUser>
    <Credentials>
      <SessionToken>AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE/=</SessionToken>
      <SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY</SecretAccessKey>
      <Expiration>2014-10-24T23:00:23Z</Expiration>
      <AccessKeyId>ASgeIAIOSFODNN7EXAMPLE</AccessKeyId>
    </Credentials>
  </AssumeRoleWithWebIdentityResult>
  <ResponseMetadata><RequestId>ad4156e9-bce1-11e2-82e6-6b6efEXAMPLE</RequestId></ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>"#;

    #[test]
    fn keys_and_their_life_are_read() {
        let Fetched { value, life } = read_keys(&endpoint(), &answer(200, KEYS), UNIX).unwrap();
        assert_eq!(value.id(), "ASgeIAIOSFODNN7EXAMPLE");
        assert_eq!(life, Duration::from_secs(1_414_191_623) - UNIX);
    }

    #[test]
    fn escaped_characters_are_read() {
        let escaped = KEYS.replace("ASgeIAIOSFODNN7EXAMPLE", "A&amp;B&#x2F;C&#43;D");
        assert_eq!(read_keys(&endpoint(), &answer(200, &escaped), UNIX).unwrap().value.id(), "A&B/C+D");
    }

    #[test]
    fn an_answer_without_all_of_them_is_of_no_use() {
        for (body, reason) in [
            ("<html>", "it has no complete <Credentials>"),
            (&KEYS.replace("SessionToken", "X"), "it has no complete <Credentials>"),
            (&KEYS.replace("2014-10-24T23:00:23Z", "soon"), "its expiration is not a time"),
            (&KEYS.replace("2014-10-24", "2013-10-24"), "its keys have expired"),
        ] {
            let error = read_keys(&endpoint(), &answer(200, body), UNIX).err().unwrap();
            assert!(error.to_string().ends_with(reason), "{error}");
        }
    }

    #[test]
    fn a_refusal_keeps_its_code() {
        let body = |code: &str| {
            format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                 <Code>{code}</Code><Message>Token s3cret expired</Message></Error></ErrorResponse>"
            )
        };
        let error = refusal(&endpoint(), &answer(400, &body("ExpiredTokenException")));
        assert!(error.to_string().ends_with("status 400 (ExpiredTokenException)"), "{error}");
        assert!(!error.is_transient() && !format!("{error:?}").contains("s3cret"));
        assert!(refusal(&endpoint(), &answer(400, &body("IDPCommunicationError"))).is_transient());
        assert!(refusal(&endpoint(), &answer(503, "")).is_transient());
    }

    #[test]
    fn each_partition_has_its_own_service() {
        assert_eq!(regional("eu-central-1"), "https://sts.eu-central-1.amazonaws.com/");
        assert_eq!(regional("cn-north-1"), "https://sts.cn-north-1.amazonaws.com.cn/");
    }
}
