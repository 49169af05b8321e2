//! Identity documents of instances and signed requests to STS: what holds, and the attacks that must not. The documents are
//! signed by OpenSSL (`aws/make.sh`).

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use model::{Binding, Time};
use testkit::mutate;

use super::super::{
    AwsCall, AwsCallers, AwsInstances, BadRegion, BadRole, NodeProof, NodeSources, NodeTrust, SignedCall, StsAnswer,
    StsPlace,
};
use super::{CHALLENGE, NONCE, domain, presented, statement};
use crate::{Finding, Sources, Statement};

const SOUND: &[u8] = include_bytes!("aws/sound.cms");
const OWN: &[u8] = include_bytes!("aws/eu-central-2.der");
const OTHER: &[u8] = include_bytes!("aws/us-east-1.der");

fn now() -> Time {
    "2027-01-02T03:04:05Z".parse().unwrap()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn trusting(trust: NodeTrust) -> Sources {
    Sources::default().with_nodes(NodeSources::from([("cloud".parse().unwrap(), trust)]))
}

fn regions(all: &[(&str, &[u8])]) -> BTreeMap<String, Vec<Vec<u8>>> {
    all.iter().map(|(region, der)| ((*region).to_owned(), vec![der.to_vec()])).collect()
}

fn instances(all: &[(&str, &[u8])]) -> Sources {
    trusting(NodeTrust::AwsInstances(AwsInstances::new(words(&["123456789012"]), regions(all)).unwrap()))
}

/// As the metadata service gives it.
fn in_lines(message: &[u8]) -> Vec<u8> {
    let text = BASE64_STANDARD.encode(message).into_bytes();
    text.chunks(64).collect::<Vec<_>>().join(&b"\n"[..])
}

fn proved(sources: &Sources, message: &[u8]) -> Result<Finding, String> {
    presented(sources, "cloud", NodeProof::AwsIid(&in_lines(message)), now())
}

#[test]
fn an_instance_is_the_node_of_the_document_that_its_region_signed() {
    let sources = instances(&[("eu-central-2", OWN), ("us-east-1", OTHER)]);
    let finding = proved(&sources, SOUND).unwrap();
    assert_eq!(finding.key, ["123456789012", "eu-central-2", "i-0b22a22eec53b9321"]);
    assert_eq!((finding.source.as_str(), finding.binding), ("cloud", Binding::Bearer));
    assert_eq!(finding.issued, Some("2026-11-02T08:15:09Z".parse().unwrap()), "since it was launched");
    let selectors: Vec<String> = finding.display.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    assert_eq!(
        selectors,
        [
            "aws_iid:account:123456789012",
            "aws_iid:region:eu-central-2",
            "aws_iid:az:eu-central-2b",
            "aws_iid:instance:id:i-0b22a22eec53b9321",
            "aws_iid:instance:type:m7g.large",
            "aws_iid:image:id:ami-5fb8c835",
        ]
    );
    // with its certificate inside, and in DER
    assert_eq!(proved(&sources, include_bytes!("aws/in-der.cms")).unwrap().key, finding.key);
}

#[test]
fn a_document_that_its_own_region_did_not_sign_is_of_no_node() {
    let both = instances(&[("eu-central-2", OWN), ("us-east-1", OTHER)]);
    let malformed = "credential_malformed: the evidence is not ";
    let message = format!("{malformed}a signed message of one signer, with its content inside, by RSA and SHA-256");
    let invalid = "signature_invalid: the signature does not verify".to_owned();
    let cases: [(&str, &[u8], &String); 9] = [
        (
            "signed by another region, which the source trusts for its own",
            include_bytes!("aws/of-other-region.cms"),
            &invalid,
        ),
        ("names a region by which it is not signed", include_bytes!("aws/elsewhere.cms"), &invalid),
        ("a key that the source does not trust", include_bytes!("aws/by-weak.cms"), &invalid),
        ("one signer to be checked and another to be believed", include_bytes!("aws/two-signers.cms"), &message),
        ("content that came from elsewhere", include_bytes!("aws/detached.cms"), &message),
        ("attributes of a signature taken for content", include_bytes!("aws/no-attributes.cms"), &message),
        ("another digest than the one that is checked", include_bytes!("aws/by-sha512.cms"), &message),
        ("another algorithm", include_bytes!("aws/by-elliptic.cms"), &message),
        (
            "two accounts in one document",
            include_bytes!("aws/twice.cms"),
            &format!("{malformed}an instance's identity document"),
        ),
    ];
    for (what, evidence, expected) in cases {
        assert_eq!(&proved(&both, evidence).unwrap_err(), expected, "{what}");
    }
    let elsewhere = instances(&[("us-east-1", OTHER)]);
    assert_eq!(proved(&elsewhere, SOUND).unwrap_err(), "key_unknown: the source has no such key");
}

#[test]
fn what_was_signed_is_what_is_read() {
    let sources = instances(&[("eu-central-2", OWN)]);
    let at = SOUND.windows(12).position(|window| window == b"123456789012").unwrap();
    let mut forged = SOUND.to_vec();
    forged.splice(at..at + 12, *b"210987654321");
    let refused = proved(&sources, &forged).unwrap_err();
    assert!(refused.starts_with("credential_malformed: the evidence is not a signed message"), "{refused}");
    // a second message behind the first, or the first within something else
    let twice = [SOUND, SOUND].concat();
    assert!(proved(&sources, &twice).is_err());
    let others = trusting(NodeTrust::AwsInstances(
        AwsInstances::new(words(&["210987654321"]), regions(&[("eu-central-2", OWN)])).unwrap(),
    ));
    assert_eq!(
        proved(&others, SOUND).unwrap_err(),
        "principal_unknown: `123456789012` is not among those whose nodes this source vouches for"
    );
    let after = "2200-01-01T00:00:00Z".parse().unwrap();
    let late = presented(&sources, "cloud", NodeProof::AwsIid(&in_lines(SOUND)), after).unwrap_err();
    assert!(late.starts_with("expired: "), "{late}");
}

#[test]
fn a_document_that_is_almost_right_is_of_no_node() {
    let sources = instances(&[("eu-central-2", OWN)]);
    for seed in [SOUND, include_bytes!("aws/in-der.cms")] {
        let sound = proved(&sources, seed).unwrap();
        mutate(seed, 3_000, |changed| {
            // certificates and serial numbers inside are not looked at: what is found is what was signed all the same
            if let Ok(found) = proved(&sources, changed) {
                assert_eq!((found.key, found.display), (sound.key.clone(), sound.display.clone()));
            }
        });
    }
    let text = in_lines(SOUND);
    mutate(&text, 1_000, |changed| {
        let _ = presented(&sources, "cloud", NodeProof::AwsIid(changed), now());
    });
    let long = vec![b'A'; 20_000];
    assert!(presented(&sources, "cloud", NodeProof::AwsIid(&long), now()).unwrap_err().contains("at most 16384"));
}

#[test]
fn a_certificate_that_cannot_be_a_regions_does_not_load() {
    let refused = |der: &[u8]| AwsInstances::new(Vec::new(), regions(&[("eu-central-2", der)])).unwrap_err();
    for (der, source) in [
        (&include_bytes!("aws/weak.der")[..], crate::Flaw::WeakKey),
        (include_bytes!("aws/elliptic.der"), crate::Flaw::NotRsa),
        (b"nonsense", crate::Flaw::Unreadable),
    ] {
        let bad = refused(der);
        assert_eq!(bad.to_string(), "certificate 1 of region `eu-central-2` signs no documents");
        assert_eq!(bad, BadRegion::Certificate { region: "eu-central-2".to_owned(), place: 1, source });
    }
}

const ROLE: &str = "arn:aws:iam::123456789012:role/agents";
const SIGNATURE: &str = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";

fn callers() -> AwsCallers {
    AwsCallers::new(&words(&[ROLE]), words(&["eu-central-2"]), StsPlace::Amazons).unwrap()
}

fn signed<'a>(statement: Statement<'a>) -> SignedCall<'a> {
    SignedCall {
        access_key: "ASIAIOSFODNN7EXAMPLE",
        time: "20270102T030405Z",
        region: "eu-central-2",
        session_token: "IQoJb3JpZ2luX2Vj",
        signature: SIGNATURE,
        statement,
    }
}

fn answer(account: &str, arn: &str, user: &str) -> String {
    format!(
        r#"{{"GetCallerIdentityResponse":{{"GetCallerIdentityResult":{{"Account":"{account}","Arn":"{arn}","UserId":"{user}"}},
        "ResponseMetadata":{{"RequestId":"01234567-89ab-cdef-0123-456789abcdef"}}}}}}"#
    )
}

fn told() -> String {
    let arn = "arn:aws:sts::123456789012:assumed-role/agents/i-0b22a22eec53b9321";
    answer("123456789012", arn, "AROACLKWSDQRAOEXAMPLE:i-0b22a22eec53b9321")
}

fn heard(said: StsAnswer<'_>, change: impl FnOnce(&mut SignedCall<'_>)) -> Result<Finding, String> {
    let domain = domain();
    let mut signed = signed(statement(&domain));
    change(&mut signed);
    let proof = NodeProof::AwsSts(AwsCall { signed, answer: said });
    presented(&trusting(NodeTrust::AwsCallers(callers())), "cloud", proof, now())
}

#[test]
fn the_request_is_made_of_few_words_and_of_the_estates() {
    let domain = domain();
    let call = callers().call(&signed(statement(&domain)), now()).unwrap();
    assert_eq!(
        (call.url.as_str(), call.body),
        ("https://sts.eu-central-2.amazonaws.com/", "Action=GetCallerIdentity&Version=2011-06-15")
    );
    let bound = statement(&domain).bound();
    assert_eq!(bound.len(), 64);
    let header = |name: &str| &call.headers.iter().find(|(found, _)| *found == name).unwrap().1;
    assert_eq!(header("host"), "sts.eu-central-2.amazonaws.com");
    assert_eq!(header("x-countersign-attestation"), &bound);
    assert_eq!(
        header("authorization"),
        &format!(
            "AWS4-HMAC-SHA256 Credential=ASIAIOSFODNN7EXAMPLE/20270102/eu-central-2/sts/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-countersign-attestation, \
             Signature={SIGNATURE}"
        )
    );
    // what is signed names this exchange, whatever else is the same
    let elsewhere = [
        Statement { challenge: &NONCE, ..statement(&domain) },
        Statement { nonce: &CHALLENGE, ..statement(&domain) },
        Statement { request: b"another key's", ..statement(&domain) },
        Statement { source: "clouds", ..statement(&domain) },
    ];
    assert!(elsewhere.iter().all(|other| other.bound() != bound));
    for (partition, region, url) in [
        ("aws-cn", "cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn/"),
        ("aws-us-gov", "us-gov-east-1", "https://sts.us-gov-east-1.amazonaws.com/"),
    ] {
        let role = format!("arn:{partition}:iam::123456789012:role/agents");
        let callers = AwsCallers::new(&[role], words(&[region]), StsPlace::Amazons).unwrap();
        let call = callers.call(&SignedCall { region, ..signed(statement(&domain)) }, now()).unwrap();
        assert_eq!(call.url, url);
    }
}

/// What a stranger makes of one part.
type Change = fn(&mut SignedCall<'_>);

#[test]
fn a_part_that_could_become_another_is_no_part_of_a_request() {
    let domain = domain();
    let malformed = "credential_malformed: the evidence is not the parts of a signed request to STS";
    let changes: [(&str, Change, &str); 10] = [
        ("a host", |call| call.region = "eu-central-2.evil.test/", malformed),
        ("another region", |call| call.region = "us-east-1", "principal_unknown: `us-east-1` is not among"),
        ("a header in a token", |call| call.session_token = "IQ\r\nhost: evil.test", malformed),
        ("a header in a key", |call| call.access_key = "ASIAIOSFODNN7EXAMPLE\r\nx: y", malformed),
        ("a scope in a key", |call| call.access_key = "ASIAIOSFODNN7EXAM/20270102", malformed),
        ("another algorithm", |call| call.signature = "AWS4-ECDSA", malformed),
        (
            "a signature in capitals",
            |call| call.signature = "5DA7C1A2ACD57CEE7505FC6676E4E544621C30862966E37DDDB68E92EFBE5D6B",
            malformed,
        ),
        ("no time", |call| call.time = "20270102T0304", malformed),
        ("yesterday's", |call| call.time = "20270101T030405Z", "too_old: "),
        ("tomorrow's", |call| call.time = "20270103T030405Z", "not_yet_valid: "),
    ];
    for (what, change, expected) in changes {
        let mut signed = signed(statement(&domain));
        change(&mut signed);
        let refused = callers().call(&signed, now()).unwrap_err();
        let told = format!("{}: {refused}", refused.code());
        assert!(told.starts_with(expected), "{what}: {told}");
        // and whatever was answered to it
        assert_eq!(heard(StsAnswer::Said(self::told().as_bytes()), change).unwrap_err(), told, "{what}");
    }
}

#[test]
fn a_session_of_a_listed_role_is_a_node() {
    let finding = heard(StsAnswer::Said(told().as_bytes()), |_| {}).unwrap();
    assert_eq!(finding.key, ["123456789012", "AROACLKWSDQRAOEXAMPLE", "i-0b22a22eec53b9321"]);
    assert_eq!(finding.binding, Binding::Proof);
    let selectors: Vec<String> = finding.display.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    assert_eq!(
        selectors,
        [
            "aws_sts:account:123456789012",
            "aws_sts:iamrole:arn:aws:iam::123456789012:role/agents",
            "aws_sts:iamrole:id:AROACLKWSDQRAOEXAMPLE",
            "aws_sts:session:i-0b22a22eec53b9321",
        ]
    );
    assert_eq!(heard(StsAnswer::Refused, |_| {}).unwrap_err(), "signature_invalid: the signature does not verify");
    assert_eq!(
        heard(StsAnswer::Unheard, |_| {}).unwrap_err(),
        "keys_unavailable: whoever vouches for such nodes could not be asked"
    );
}

#[test]
fn an_answer_about_somebody_else_or_of_another_sort_names_no_node() {
    let malformed = "credential_malformed: the evidence is not what STS says of an assumed role";
    let unlisted = "principal_unknown: `arn:aws:iam::";
    let (arn, user) = ("arn:aws:sts::123456789012:assumed-role/agents/s", "AROACLKWSDQRAOEXAMPLE:s");
    let cases: [(&str, String, &str); 11] = [
        ("another account", answer("210987654321", &arn.replace("123456789012", "210987654321"), user), unlisted),
        ("another role", answer("123456789012", &arn.replace("agents", "web"), user), unlisted),
        ("two accounts", answer("210987654321", arn, user), malformed),
        ("two sessions", answer("123456789012", arn, "AROACLKWSDQRAOEXAMPLE:t"), malformed),
        (
            "another partition",
            answer("123456789012", &arn.replace("aws:", "aws-cn:"), user),
            "principal_unknown: `arn:aws-cn:",
        ),
        ("a user", answer("123456789012", "arn:aws:iam::123456789012:user/agents", "AIDACKCEVSQ6C2EXAMPLE"), malformed),
        ("root", answer("123456789012", "arn:aws:iam::123456789012:root", "123456789012"), malformed),
        ("a path", answer("123456789012", &arn.replace("agents/s", "agents/s/t"), user), malformed),
        ("what another action answers", told().replace("GetCallerIdentityResult", "AssumeRoleResult"), malformed),
        ("one member twice", told().replacen("\"Account\"", "\"Account\":\"210987654321\",\"Account\"", 1), malformed),
        ("XML", "<GetCallerIdentityResponse/>".to_owned(), malformed),
    ];
    for (what, said, expected) in cases {
        let refused = heard(StsAnswer::Said(said.as_bytes()), |_| {}).unwrap_err();
        assert!(refused.starts_with(expected), "{what}: {refused}");
    }
    mutate(told().as_bytes(), 2_000, |changed| {
        // the request's number may change; whom it is about may not become another role
        if let Ok(found) = heard(StsAnswer::Said(changed), |_| {}) {
            assert_eq!(found.display[1].1, ROLE);
        }
    });
}

#[test]
fn roles_are_named_as_sts_can_tell_them() {
    let refused = |roles: &[&str]| AwsCallers::new(&words(roles), Vec::new(), StsPlace::Amazons).unwrap_err();
    assert_eq!(
        refused(&["arn:aws:iam::123456789012:role/team/agents"]).to_string(),
        "`arn:aws:iam::123456789012:role/team/agents` has a path, which STS does not tell: \
         write `arn:aws:iam::123456789012:role/agents`"
    );
    assert_eq!(refused(&[ROLE, "arn:aws-cn:iam::123456789012:role/agents"]), BadRole::Partitions);
    let elsewhere = AwsCallers::new(&words(&[ROLE]), words(&["cn-north-1"]), StsPlace::Amazons).unwrap_err();
    assert_eq!(elsewhere.to_string(), "region `cn-north-1` is of another partition of AWS than the roles");
    for text in [
        "",
        "agents",
        "arn:aws:iam::1:role/agents",
        "arn:aws:iam::123456789012:user/a",
        "arn:aws:iam::123456789012:role/*",
    ] {
        assert_eq!(refused(&[text]), BadRole::Arn { text: text.to_owned() });
    }
}
