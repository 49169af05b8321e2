//! The page of the book, held to the closed list and to the answers that the scenarios saw.

use std::fs;
use std::path::Path;

use model::{Code, Layer};

use super::{PAGE, PARTS, parts, section};

fn answer(code: Code) -> String {
    parts(code).first().expect("a part").lines.join(" ")
}

#[test]
fn the_page_has_each_code_once_under_its_layer_and_in_the_order_of_the_list() {
    let mut layer = String::new();
    let mut found = Vec::new();
    for line in PAGE.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            layer = heading.to_lowercase();
        } else if let Some(code) = line.strip_prefix("### ") {
            found.push((layer.clone(), code.to_owned()));
        }
    }
    let expected: Vec<_> = Code::ALL.iter().map(|code| (code.layer().to_string(), code.to_string())).collect();
    assert_eq!(found, expected);
}

#[test]
fn each_section_has_the_title_of_its_code_and_every_part() {
    for code in Code::ALL.iter().copied() {
        assert_eq!(section(code).and_then(|text| text.lines().next()), Some(code.title()));
        assert_eq!(parts(code).iter().map(|part| part.name).collect::<Vec<_>>(), PARTS, "{code}");
        for line in parts(code).iter().flat_map(|part| &part.lines) {
            assert!(!line.trim().is_empty() && line.len() <= 110, "`{code}`, empty or too wide for a terminal: {line}");
        }
    }
}

#[test]
fn identity_codes_are_one_answer_and_others_name_themselves() {
    for code in Code::ALL.iter().copied() {
        let answer = answer(code);
        let says = match code.layer() {
            // a handshake that is refused has no HTTP answer
            Layer::Identity if code == Code::ChainInvalid => "TLS alert",
            Layer::Identity => "401 `unauthenticated`",
            Layer::Access | Layer::Protocol | Layer::System => &format!("`{code}`"),
        };
        assert!(answer.contains(says), "`{code}`: {answer}");
    }
}

#[test]
fn statuses_are_those_of_the_answers_that_the_scenarios_saw() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/golden/answers");
    let mut seen = 0;
    for entry in fs::read_dir(golden).expect("the scenarios are there") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        // a file's name is its code, and what tells it from others of that code
        let Ok(code) = name.split('-').next().expect("a name").parse::<Code>() else { continue };
        let text = fs::read_to_string(&path).expect("it can be read");
        let status = text.split(' ').nth(1).expect("a status line");
        assert!(answer(code).contains(status), "`{name}` was answered {status}, the page says: {}", answer(code));
        seen += 1;
    }
    assert!(seen > 20, "{seen} answers are no proof");
}
