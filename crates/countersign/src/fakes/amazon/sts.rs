//! STS: says who signed a request, and gives tokens to whoever did. Answers in XML, or in JSON to whoever asks for it.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::super::keys::base64url;
use super::super::reply::{Asked, Reply, form};
use super::signature::{Fault, check};
use super::{ACCOUNT, Amazon, INSTANCE, ISSUER, REGION, ROLE, ROLE_ID};

const VERSION: &str = "2011-06-15";
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const MAX_AUDIENCES: usize = 10;
const MAX_TAGS: usize = 50;

pub(super) fn reply(amazon: &Amazon, asked: &Asked) -> Reply {
    match answer(amazon, asked) {
        Ok((action, result)) => said(asked, action, &result),
        Err(fault) => refused(asked, &fault),
    }
}

/// The action, and the members of its result.
type Answer = (&'static str, Vec<(&'static str, String)>);

fn answer(amazon: &Amazon, asked: &Asked) -> Result<Answer, Fault> {
    let unknown = |code, message| Fault { status: StatusCode::BAD_REQUEST, code, message };
    if asked.method() != "POST" || asked.parts.uri.query().is_some() {
        return Err(unknown("InvalidAction", "Could not find operation"));
    }
    check(&amazon.keys, asked)?;
    let form = form(&asked.body).ok_or(unknown("MalformedQueryString", "The query string contains a syntax error."))?;
    let one = |name: &str| {
        let mut values = form.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
        values.next().filter(|_| values.next().is_none())
    };
    match (one("Action"), one("Version")) {
        (Some("GetCallerIdentity"), Some(VERSION)) => Ok(("GetCallerIdentity", caller())),
        (Some("GetWebIdentityToken"), Some(VERSION)) => token(amazon, asked, &form),
        _ => Err(unknown("InvalidAction", "Could not find operation")),
    }
}

fn caller() -> Vec<(&'static str, String)> {
    vec![
        ("Arn", format!("arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/{INSTANCE}")),
        ("UserId", format!("{ROLE_ID}:{INSTANCE}")),
        ("Account", ACCOUNT.to_owned()),
    ]
}

fn token(amazon: &Amazon, asked: &Asked, form: &[(String, String)]) -> Result<Answer, Fault> {
    let invalid = |message| Fault { status: StatusCode::BAD_REQUEST, code: "ValidationError", message };
    let value = |name: &str| form.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
    let audiences: Vec<String> =
        (1..=MAX_AUDIENCES + 1).map_while(|n| value(&format!("Audience.member.{n}"))).collect();
    if audiences.is_empty() || audiences.len() > MAX_AUDIENCES || audiences.iter().any(String::is_empty) {
        return Err(invalid("Audience has 1 to 10 members"));
    }
    let seconds = value("DurationSeconds").map_or(Some(300), |text| text.parse::<i64>().ok());
    let seconds =
        seconds.filter(|seconds| (60..=3600).contains(seconds)).ok_or(invalid("DurationSeconds is 60 to 3600"))?;
    let mut tags = Map::new();
    for n in 1..=MAX_TAGS {
        let pair = value(&format!("Tags.member.{n}.Key")).zip(value(&format!("Tags.member.{n}.Value")));
        let Some((key, value)) = pair else { break };
        tags.insert(key, Value::String(value));
    }
    let now = asked.at.as_micros() / 1_000_000;
    let sub = format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}");
    let mut own = json!({
        "aws_account": ACCOUNT, "source_region": REGION, "org_id": "o-abc1234567",
        "ou_path": ["o-abc1234567/r-ab12/ou-ab12-11111111/"], "principal_id": sub, "principal_tags": {"environment": "production"},
        "ec2_source_instance_arn": format!("arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{INSTANCE}"),
        "ec2_instance_source_vpc": "vpc-0a1b2c3d", "ec2_instance_source_private_ipv4": "10.158.112.84",
        "ec2_role_delivery": "2.0",
    });
    if let Some(own) = own.as_object_mut().filter(|_| !tags.is_empty()) {
        own.insert("request_tags".to_owned(), Value::Object(tags));
    }
    let audience = match audiences.as_slice() {
        [one] => json!(one),
        several => json!(several),
    };
    let claims = json!({
        "aud": audience, "sub": sub, "iss": ISSUER, "iat": now, "exp": now + seconds, "jti": base64url(net::challenge()),
        "https://sts.amazonaws.com/": own,
    });
    let token = match value("SigningAlgorithm").as_deref() {
        Some("ES384") => amazon.es384.token(&claims),
        Some("RS256") => amazon.rs256.token(&claims),
        _ => return Err(invalid("SigningAlgorithm is RS256 or ES384")),
    };
    let unsigned = Fault { status: StatusCode::INTERNAL_SERVER_ERROR, code: "InternalFailure", message: "no token" };
    let expires = asked.at.plus(std::time::Duration::from_secs(seconds.unsigned_abs()));
    let expires = format!("{}Z", expires.to_string().chars().take(19).collect::<String>());
    Ok(("GetWebIdentityToken", vec![("WebIdentityToken", token.or(Err(unsigned))?), ("Expiration", expires)]))
}

fn said(asked: &Asked, action: &str, result: &[(&str, String)]) -> Reply {
    let id = net::record_id();
    if wants_json(asked) {
        let members: Map<String, Value> =
            result.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        return Reply::json(&json!({
            format!("{action}Response"): {
                format!("{action}Result"): members, "ResponseMetadata": {"RequestId": id.to_string()},
            }
        }));
    }
    let members: String = result.iter().map(|(name, value)| format!("    <{name}>{value}</{name}>\n")).collect();
    xml(
        StatusCode::OK,
        format!(
            "<{action}Response xmlns=\"{NAMESPACE}\">\n  <{action}Result>\n{members}  </{action}Result>\n  \
             <ResponseMetadata>\n    <RequestId>{id}</RequestId>\n  </ResponseMetadata>\n</{action}Response>\n"
        ),
    )
}

fn refused(asked: &Asked, fault: &Fault) -> Reply {
    let Fault { status, code, message } = fault;
    if wants_json(asked) {
        let document = json!({"Error": {"Code": code, "Message": message, "Type": "Sender"}});
        return Reply::new(*status, "application/json", document.to_string());
    }
    xml(
        *status,
        format!(
            "<ErrorResponse xmlns=\"{NAMESPACE}\">\n  <Error>\n    <Type>Sender</Type>\n    <Code>{code}</Code>\n    \
             <Message>{message}</Message>\n  </Error>\n</ErrorResponse>\n"
        ),
    )
}

const fn xml(status: StatusCode, body: String) -> Reply {
    Reply::new(status, "text/xml", body)
}

fn wants_json(asked: &Asked) -> bool {
    asked.header("accept").is_some_and(|accept| accept.contains("application/json"))
}
