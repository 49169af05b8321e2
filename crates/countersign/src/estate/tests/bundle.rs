//! Estates on disk and on the wire: every file that counts is read or refused.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::super::{Bundle, Vars, load, load_all};
use super::{KEYS, POLICY, QUICKSTART, check, dev, now, quickstart};

/// A directory with these files.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

fn names(bundle: &Bundle) -> Vec<&str> {
    bundle.with_ending(&[""]).map(|(name, _)| name).collect()
}

/// Why what lies at `path` is no estate, without the directory's own name.
fn refusal(path: &Path, root: &Path) -> String {
    let error = Bundle::read(path).unwrap_err().to_string();
    error.replace(&root.display().to_string(), "D")
}

#[test]
fn every_example_loads() {
    let examples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples"));
    let mut loaded = 0;
    for entry in fs::read_dir(examples).unwrap() {
        let read = Bundle::read(&entry.unwrap().path()).unwrap();
        let files = read.with_ending(&[""]).map(|(name, text)| (name.to_owned(), text.to_owned()));
        // made by `dev`, with the private half that stays outside the estate
        let bundle = Bundle::new(files.chain([("keys/platform.jwks.json".to_owned(), KEYS.to_owned())]));
        let problems = load_all(&bundle, &dev(), &[], now()).err().unwrap_or_default();
        assert!(problems.is_empty(), "{}", problems[0]);
        loaded += 1;
    }
    assert!(loaded > 0);
}

#[test]
fn a_directory_is_read_with_the_key_sets_that_it_names() {
    let root = directory(&[
        ("a/estate.yaml", &quickstart("keys/platform.jwks.json", "../keys/platform.jwks.json")),
        ("policies/billing.cedar", POLICY),
        ("more.yml", "# nothing\n"),
        ("keys/platform.jwks.json", KEYS),
        ("keys/other.json", "{}"),
        (".hidden/x.yaml", "x"),
        (".x.cedar", "x"),
        ("README.md", "x"),
    ]);
    let bundle = Bundle::read(root.path()).unwrap();
    assert_eq!(names(&bundle), ["a/estate.yaml", "keys/platform.jwks.json", "more.yml", "policies/billing.cedar"]);
    assert!(load(&bundle, &dev(), &[], None, now()).is_ok());
    let one = Bundle::read(&root.path().join("more.yml")).unwrap();
    assert_eq!(names(&one), ["more.yml"]);
}

#[test]
fn one_file_is_read_with_what_it_names() {
    let described = QUICKSTART.replacen("  http:\n", "  openapi: {file: api/billing.yaml}\n  http:\n", 1);
    let root = directory(&[
        ("estate.yaml", &described),
        ("keys/platform.jwks.json", KEYS),
        ("api/billing.yaml", "openapi: 3.1.0\n"),
        ("api/other.yaml", "openapi: 3.1.0\n"),
    ]);
    let one = Bundle::read(&root.path().join("estate.yaml")).unwrap();
    assert_eq!(names(&one), ["api/billing.yaml", "estate.yaml", "keys/platform.jwks.json"]);
}

#[test]
fn a_link_never_leads_out_of_the_estate() {
    let outside = directory(&[("secret.json", KEYS), ("forbids.cedar", "x")]);
    let root = directory(&[("estate.yaml", QUICKSTART), ("shared/one.cedar", POLICY)]);
    let at = |name: &str| root.path().join(name);
    symlink(at("shared/one.cedar"), at("two.cedar")).unwrap();
    assert_eq!(names(&Bundle::read(root.path()).unwrap()), ["estate.yaml", "shared/one.cedar", "two.cedar"]);

    // a policy that is passed over could be a `forbid`
    symlink(outside.path().join("forbids.cedar"), at("three.cedar")).unwrap();
    let refused = |name: &str| {
        format!("`D/{name}` is a link out of the estate or to a directory; put what it leads to in its place")
    };
    assert_eq!(refusal(root.path(), root.path()), refused("three.cedar"));
    fs::remove_file(at("three.cedar")).unwrap();
    symlink(at("shared"), at("again")).unwrap();
    assert_eq!(refusal(root.path(), root.path()), refused("again"));
    fs::remove_file(at("again")).unwrap();

    fs::create_dir(at("keys")).unwrap();
    symlink(outside.path().join("secret.json"), at("keys/platform.jwks.json")).unwrap();
    assert_eq!(refusal(root.path(), root.path()), refused("keys/platform.jwks.json"));
}

#[test]
fn what_is_no_estate_is_refused() {
    let root = directory(&[("notes.txt", "x"), ("deep/x.cedar", "x")]);
    let at = |name: &str| root.path().join(name);
    let refused = "`D/notes.txt`: an estate is a directory, or a file that ends in .yaml or .yml";
    assert_eq!(refusal(&at("notes.txt"), root.path()), refused);
    assert_eq!(refusal(&at("nowhere"), root.path()), "cannot read `D/nowhere`");
    fs::write(at("deep/x.cedar"), b"\xff").unwrap();
    assert_eq!(refusal(root.path(), root.path()), "`D/deep/x.cedar` is not UTF-8");
    fs::remove_dir_all(at("deep")).unwrap();
    fs::write(at("a\nb.yaml"), "x").unwrap();
    assert_eq!(
        refusal(root.path(), root.path()),
        "`a\\nb.yaml`: the path of a file is printable UTF-8, relative, and goes down only"
    );
    fs::remove_file(at("a\nb.yaml")).unwrap();
    fs::create_dir_all(at(&"d/".repeat(17))).unwrap();
    assert!(
        refusal(root.path(), root.path())
            .ends_with("an estate has at most 10000 files, 67108864 bytes and 16 levels of directories")
    );
}

#[test]
fn an_empty_directory_is_no_estate() {
    let root = directory(&[]);
    let problems = load(&Bundle::read(root.path()).unwrap(), &dev(), &[], None, now()).err().unwrap();
    assert_eq!(
        problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [".:1:1: the estate has no Environment\n  help: add a document of kind `Environment` with a `trustDomain`"]
    );
}

#[test]
fn a_key_set_is_a_file_of_the_estate() {
    check(
        &quickstart("keys/platform.jwks.json", "../../etc/keys.json"),
        "estate.yaml:34:18: `../../etc/keys.json` lies outside the estate",
    );
    check(
        &quickstart("keys/platform.jwks.json", "keys/none.json"),
        "estate.yaml:34:18: the estate has no file `keys/none.json` beside `estate.yaml`",
    );
}

#[test]
fn what_comes_over_the_wire_is_bounded_too() {
    let bundle = Bundle::new([("a.yaml".to_owned(), "é".to_owned())]);
    let text = serde_json::to_string(&bundle).unwrap();
    assert_eq!(text, r#"{"a.yaml":"é"}"#);
    assert_eq!(serde_json::from_str::<Bundle>(&text).unwrap(), bundle);
    for path in ["", "/a.yaml", "../a.yaml", "a//b.yaml", "a/./b.yaml", "a\\b.yaml", "a\u{1b}[2J.yaml"] {
        let text = serde_json::to_string(&BTreeMap::from([(path, "x")])).unwrap();
        let error = serde_json::from_str::<Bundle>(&text).unwrap_err().to_string();
        assert!(error.contains("goes down only"), "{path:?}: {error}");
    }
    let many: BTreeMap<String, &str> = (0..10_001).map(|index| (format!("{index}.yaml"), "")).collect();
    let error = serde_json::from_str::<Bundle>(&serde_json::to_string(&many).unwrap()).unwrap_err().to_string();
    assert!(error.contains("is one too many"), "{error}");
}

#[test]
fn no_two_estates_share_a_digest() {
    let files = |files: &[(&str, &str)]| Bundle::new(files.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())));
    let vars =
        |vars: &[(&str, &str)]| Vars::Dev(vars.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect());
    let digests = [
        files(&[]).digest(&vars(&[])),
        files(&[("a", "b")]).digest(&vars(&[])),
        files(&[("a", "b"), ("c", "d")]).digest(&vars(&[])),
        files(&[("a", "b")]).digest(&vars(&[("c", "d")])),
        files(&[("ab", "")]).digest(&vars(&[])),
        files(&[("a", "b")]).digest(&Vars::Refused),
        files(&[("a", "b")]).digest(&Vars::Noted),
    ];
    for (index, digest) in digests.iter().enumerate() {
        assert!(!digests[index + 1..].contains(digest), "{index}");
    }
}
