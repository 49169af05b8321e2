//! Licence expressions.

use crate::is_allowed;

#[test]
fn an_expression_is_satisfied_by_what_the_list_allows() {
    for expression in [
        "MIT",
        "MIT OR Apache-2.0",
        "MIT/Apache-2.0",
        "Apache-2.0 / MIT",
        "Unlicense/MIT",
        "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "MIT OR Apache-2.0 OR LGPL-2.1-or-later",
        "GPL-3.0-only OR MIT AND ISC",
        "ISC AND (Apache-2.0 OR ISC) AND Apache-2.0 AND MIT AND BSD-3-Clause AND (Apache-2.0 OR ISC OR MIT-0)",
    ] {
        assert_eq!(is_allowed(expression), Ok(true), "{expression}");
    }
}

#[test]
fn one_licence_outside_the_list_spoils_an_and() {
    for expression in [
        "GPL-3.0-only",
        "LGPL-2.1-or-later",
        "MIT AND GPL-3.0-only",
        "(MIT OR GPL-3.0-only) AND MPL-2.0",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "MIT WITH LLVM-exception",
        "GPL-3.0-only OR MIT AND MPL-2.0",
        "mit",
        "OpenSSL",
    ] {
        assert_eq!(is_allowed(expression), Ok(false), "{expression}");
    }
}

#[test]
fn nobody_guesses_what_cannot_be_read() {
    for (expression, words) in [
        ("", "licence expression `` ends too early"),
        ("MIT OR", "licence expression `MIT OR` ends too early"),
        ("(MIT", "licence expression `(MIT` ends too early"),
        ("MIT)", "licence expression `MIT)` makes no sense at `)`"),
        ("MIT Apache-2.0", "licence expression `MIT Apache-2.0` makes no sense at `Apache-2.0`"),
        ("AND MIT", "licence expression `AND MIT` makes no sense at `AND`"),
    ] {
        assert_eq!(is_allowed(expression).unwrap_err().to_string(), words);
    }
}
