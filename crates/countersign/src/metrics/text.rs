//! Prometheus' text format, version 0.0.4: families with HELP and TYPE, samples with escaped labels.

use std::fmt::Write as _;

/// What an answer with a page is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page that is being written.
#[derive(Default)]
pub(super) struct Page(String);

/// Samples of one name.
pub(super) struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
}

/// One number, and the labels that tell it from the others of its family.
pub(super) struct Sample {
    labels: String,
    value: f64,
}

/// What only grows, and is 0 at a start; its name ends with `_total`.
pub(super) const fn counter(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: "counter", help }
}

/// What goes up and down.
pub(super) const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: "gauge", help }
}

pub(super) fn sample(labels: &[(&str, &str)], value: f64) -> Sample {
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    Sample { labels, value }
}

impl Page {
    /// A family is named even where it has no sample, so that whoever looks finds all there are.
    pub(super) fn family(&mut self, family: Family, samples: impl IntoIterator<Item = Sample>) {
        let Family { name, kind, help } = family;
        // a `String` takes all that is written
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for Sample { labels, value } in samples {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }

    pub(super) fn text(self) -> String {
        self.0
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_its_line_or_begin_another() {
        let mut page = Page::default();
        let hostile = "a\"} 1\n# TYPE x counter\\";
        page.family(gauge("g", "Help."), [sample(&[("one", hostile), ("two", "")], 0.5)]);
        let line = r#"g{one="a\"} 1\n# TYPE x counter\\",two=""} 0.5"#;
        assert_eq!(page.text(), format!("# HELP g Help.\n# TYPE g gauge\n{line}\n"));
    }

    #[test]
    fn numbers_are_plain() {
        let value = |value: f64| {
            let mut page = Page::default();
            page.family(counter("c_total", "Help."), [sample(&[], value)]);
            page.text().lines().last().unwrap().to_owned()
        };
        assert_eq!(value(0.0), "c_total 0");
        assert_eq!(value(9_007_199_254_740_992.0), "c_total 9007199254740992");
        assert_eq!(value(-0.25), "c_total -0.25");
    }
}
