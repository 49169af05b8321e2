//! The commands of the book, held to what the program understands.

use std::fs;
use std::path::Path;

use clap::Parser;

use super::Cli;

/// Where a shell would begin another command, or end one.
const ENDS: [char; 5] = ['|', ';', '&', ')', '>'];

#[test]
fn every_command_that_the_book_shows_is_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let book = fs::read_dir(root.join("docs")).expect("the book").map(|entry| entry.expect("an entry").path());
    let pages = book.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    let mut understood = 0;
    for page in pages.chain([root.join("README.md")]) {
        let text = fs::read_to_string(&page).expect("a page");
        for command in commands(&text) {
            let words = command.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{}: `{command}`\n{error}", page.display());
            }
            understood += 1;
        }
    }
    assert!(understood > 40, "{understood} commands are not the whole book");
}

/// The commands of ours in blocks of shell.
fn commands(page: &str) -> Vec<String> {
    let blocks = page.split("\n```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let lines = blocks.flat_map(|block| block.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>());
    lines.flat_map(|line| of_line(&line)).collect()
}

fn of_line(line: &str) -> Vec<String> {
    let code = line.split(" #").next().unwrap_or_default();
    let pieces: Vec<&str> = code.split("countersign ").collect();
    let mut found = Vec::new();
    for pair in pieces.windows(2) {
        let [before, words] = pair else { continue };
        let words = words.split(ENDS).next().unwrap_or_default().trim();
        // the name may end a path, or name the package
        if !words.is_empty() && (before.is_empty() || before.ends_with([' ', '('])) {
            found.push(format!("countersign {words}"));
        }
    }
    found
}
