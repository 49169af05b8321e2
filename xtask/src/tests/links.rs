//! Links of pages.

use crate::links;
use crate::source::Source;

/// What is wrong with the links of `docs/page.md`, as `line: text`.
fn found(text: &str) -> Vec<String> {
    let page = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    let pages = [page("docs/page.md", text), page("docs/other.md", "# Other\n\n## What `dev` does, and when\n")];
    let files = ["docs/page.md", "docs/other.md", "docs/decisions/0001.md", "README.md", "api/control.yaml"];
    let files = files.map(str::to_owned).into();
    links::check(&pages, &files).into_iter().map(|it| format!("{}: {}", it.line, it.text)).collect()
}

#[test]
fn a_link_leads_to_a_file_a_folder_or_a_heading_that_is_there() {
    for sound in [
        "[a](other.md)",
        "[a](./other.md) and [b](../README.md)",
        "[a](../api/control.yaml \"a title\")",
        "[a](decisions/)",
        "[a](decisions)",
        "# Here\n[a](#here)",
        "[a](other.md#what-dev-does-and-when)",
        "[a](https://acme.test/nowhere) [b](mailto:a@acme.test)",
    ] {
        assert_eq!(found(sound), Vec::<String>::new(), "{sound}");
    }
}

#[test]
fn a_link_that_leads_nowhere_is_found_where_it_stands() {
    for (text, says) in [
        ("\n[a](gone.md)", "2: `gone.md`: there is no such file"),
        ("[a](READ.md)", "1: `READ.md`: there is no such file"),
        ("[a](../../README.md)", "1: `../../README.md`: leads out of the repository"),
        ("[a](other.md#other-things)", "1: `other.md#other-things`: the page has no such heading"),
        ("[a](#nowhere)", "1: `#nowhere`: the page has no such heading"),
        ("`code` [a](gone.md) `more`", "1: `gone.md`: there is no such file"),
    ] {
        assert_eq!(found(text), [says], "{text}");
    }
}

#[test]
fn code_is_no_link() {
    for text in ["`[a](gone.md)`", "```sh\n[a](gone.md)\n# nor a heading\n```\n", "  ```\n[a](gone.md)\n  ```"] {
        assert_eq!(found(text), Vec::<String>::new(), "{text}");
    }
    assert_eq!(found("```\n# Here\n```\n[a](#here)").len(), 1);
}
