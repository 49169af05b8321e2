//! Tokens of Amazon's STS: which instance they are of, and which they are not.

use super::super::{NodeMethod, TokenRules};
use super::tokens::{proved, selectors, signed, trusting};
use crate::tests::issuer::NOW;

const ISSUER: &str = "https://0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0.tokens.sts.global.api.aws";
const ROLE: &str = "arn:aws:iam::123456789012:role/agents";

fn claims(account: &str, instance: &str, more: &str) -> String {
    format!(
        r#"{{"aws_account":"{account}","source_region":"eu-central-2","org_id":"o-abc1234567","principal_id":"{ROLE}",
        "principal_tags":{{"environment":"production","a:b":"c","number":7}},"request_tags":{{"environment":"forged"}},
        "ec2_source_instance_arn":"{instance}","ec2_role_delivery":"2.0"{more}}}"#
    )
}

fn of(issuer: &str, sub: &str, claims: &str) -> String {
    let (issuer, sub) = (format!("\"{issuer}\""), format!("\"{sub}\""));
    signed(&[("iss", Some(&issuer)), ("sub", Some(&sub)), ("https://sts.amazonaws.com/", Some(claims))])
}

#[test]
fn a_token_of_an_accounts_issuer_is_of_the_instance_that_amazon_names() {
    const INSTANCE: &str = "arn:aws:ec2:eu-central-2:123456789012:instance/i-0b22a22eec53b9321";
    let sources = trusting(ISSUER, TokenRules::amazon(vec![ROLE.to_owned()]));
    let sound = of(ISSUER, ROLE, &claims("123456789012", INSTANCE, ""));
    let finding = proved(&sources, NodeMethod::AwsJwt, &sound, NOW).unwrap();
    assert_eq!(finding.key, ["123456789012", "eu-central-2", "i-0b22a22eec53b9321"]);
    assert_eq!(
        selectors(&finding),
        [
            "aws_jwt:iamrole:arn:aws:iam::123456789012:role/agents",
            "aws_jwt:account:123456789012",
            "aws_jwt:region:eu-central-2",
            "aws_jwt:org:o-abc1234567",
            "aws_jwt:instance:id:i-0b22a22eec53b9321",
            "aws_jwt:tag:environment:production",
        ]
    );
    let no_instance = r"credential_malformed: claim `https://sts\.amazonaws\.com/.ec2_source_instance_arn` is ";
    let other_account = "https://ffffffff-4f50-6172-8394-a5b6c7d8e9f0.tokens.sts.global.api.aws";
    let cases = [
        (
            "another account's issuer",
            of(other_account, ROLE, &claims("123456789012", INSTANCE, "")),
            "issuer_unknown: ",
        ),
        (
            "another role",
            of(ISSUER, "arn:aws:iam::123456789012:role/web", &claims("123456789012", INSTANCE, "")),
            "principal_unknown: ",
        ),
        ("an instance of another account", of(ISSUER, ROLE, &claims("210987654321", INSTANCE, "")), no_instance),
        ("a function", of(ISSUER, ROLE, r#"{"aws_account":"123456789012"}"#), no_instance),
        (
            "a volume",
            of(ISSUER, ROLE, &claims("123456789012", "arn:aws:ec2:eu-central-2:123456789012:volume/vol-1", "")),
            no_instance,
        ),
        (
            "a path",
            of(ISSUER, ROLE, &claims("123456789012", &format!("{INSTANCE}/../i-0ffffffffffffffff"), "")),
            no_instance,
        ),
        (
            "two",
            of(ISSUER, ROLE, &claims("123456789012", INSTANCE, r#","ec2_source_instance_arn":"x""#)),
            "credential_malformed: ",
        ),
    ];
    for (what, token, expected) in cases {
        let refused = proved(&sources, NodeMethod::AwsJwt, &token, NOW).unwrap_err();
        assert!(refused.starts_with(expected), "{what}: {refused}");
    }
}
