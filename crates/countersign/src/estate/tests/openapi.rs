//! OpenAPI files: which operations become which routes, and what does not load, in exact words.

mod mapping;

use std::path::Path;

use super::super::{Bundle, Problem, Service, Vars, load};
use super::{KEYS, POLICY, QUICKSTART, dev, now};
use crate::catalog::Asks;

const API: &str = "openapi: 3.0.3
paths:
  /invoices/{invoice-id}:
    get:
      operationId: getInvoice
      tags: [invoices, all]
      x-countersign: {action: read, resource: billing/invoices}
    delete:
      operationId: dropInvoice
      tags: [invoices]
";

/// The quickstart with the operations of its service as `service` says, and `api` as the file `api.yaml`.
fn estate(service: &str, file: &str, api: &str) -> Result<Vec<Service>, Vec<Problem>> {
    let start = QUICKSTART.find("  http:\n").unwrap();
    let yaml = format!("{}{service}\n", &QUICKSTART[..start]);
    let files = [("estate.yaml", yaml.as_str()), ("a.cedar", POLICY), ("keys/platform.jwks.json", KEYS), (file, api)];
    let bundle = Bundle::new(files.map(|(name, text)| (name.to_owned(), text.to_owned())));
    load(&bundle, &dev(), &[], None, now()).map(|estate| estate.services)
}

fn said(service: &str, file: &str, api: &str) -> String {
    let problems = estate(service, file, api).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The problems of a described API that `service` imports.
#[track_caller]
fn check_with(service: &str, api: &str, expected: &str) {
    let shown: String = api.chars().take(400).collect();
    assert_eq!(said(service, "api.yaml", api), expected, "of\n{shown}");
}

#[track_caller]
fn check(api: &str, expected: &str) {
    check_with("  openapi: {file: api.yaml}", api, expected);
}

/// What is mapped, one route a line.
#[track_caller]
fn mapped(service: &str, file: &str, api: &str) -> Vec<String> {
    let services = estate(service, file, api).unwrap_or_else(|problems| panic!("{}", problems[0]));
    let routes = services.iter().flat_map(|service| service.routes.iter());
    routes
        .map(|route| match &route.asks {
            Asks::Public => format!("{}: public", route.text()),
            Asks::Action { action, resource } => format!("{}: {action} {resource}", route.text()),
        })
        .collect()
}

/// A file with these paths.
fn paths(paths: &str) -> String {
    format!("openapi: 3.1.0\npaths:\n{paths}")
}

/// A file with one path, whose only operation is mapped.
fn one(path: &str) -> String {
    paths(&format!("  {path}: {{get: {{x-countersign: {{access: public}}}}}}\n"))
}

#[test]
fn the_example_imports_what_it_describes() {
    let bundle = Bundle::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/openapi"))).unwrap();
    let files = bundle.with_ending(&[""]).map(|(name, text)| (name.to_owned(), text.to_owned()));
    let bundle = Bundle::new(files.chain([("keys/platform.jwks.json".to_owned(), KEYS.to_owned())]));
    let estate = load(&bundle, &Vars::Refused, &[], None, now()).map_err(|problems| problems[0].to_string()).unwrap();
    let routes = estate.services.iter().flat_map(|service| {
        service.routes.iter().zip(&service.places).map(|(route, place)| {
            let asks = match &route.asks {
                Asks::Public => "public".to_owned(),
                Asks::Action { action, resource } => format!("{action} {resource}"),
            };
            format!("{}:{}: {}: {asks}", place.file, place.at.line, route.text())
        })
    });
    assert_eq!(
        routes.collect::<Vec<_>>(),
        [
            "billing.openapi.yaml:8: GET /v1/healthz: public",
            "billing.openapi.yaml:13: GET /v1/invoices: read billing/invoices",
            "billing.openapi.yaml:18: POST /v1/invoices: write billing/invoices",
            "billing.openapi.yaml:26: GET /v1/invoices/{invoice-id}: read billing/invoices",
            "billing.openapi.yaml:37: GET /v1/export: read billing/invoices/export",
            "estate.yaml:73: GET /livez: public",
            "payments.openapi.json:6: GET /payments: read billing/payments",
            "payments.openapi.json:7: POST /payments: effect billing/payments",
            "payments.openapi.json:10: GET /payments/{payment}: read billing/payments",
            "payments.openapi.json:11: DELETE /payments/{payment}: effect billing/payments",
            "payments.openapi.json:14: POST /payments/{payment}/refund: refund billing/payments",
        ]
    );
    let [_, payments] = estate.services.as_slice() else { panic!("two services") };
    let unmapped: Vec<_> = payments.unmapped.iter().map(|(text, place)| format!("{}: {text}", place.at.line)).collect();
    assert_eq!(unmapped, ["17: GET /internal/{report}.csv"]);
}

#[test]
fn what_is_said_nearest_holds() {
    let api = "openapi: 3.1.0
x-countersign: {resource: billing}
paths:
  /a:
    get: {x-countersign: {action: read}}
    put: {x-countersign: {action: write, resource: billing/invoices}}
  /b:
    x-countersign: {resource: billing/invoices/export}
    get: {x-countersign: {action: read}}
    post: {x-countersign: {access: public}}
  /c:
    x-countersign: {access: public}
    get: {}
    post: {x-countersign: {action: write, resource: billing}}
";
    assert_eq!(
        mapped("  openapi: {file: api.yaml}", "api.yaml", api),
        [
            "GET /a: read billing",
            "PUT /a: write billing/invoices",
            "GET /b: read billing/invoices/export",
            "POST /b: public",
            "GET /c: public",
            "POST /c: write billing",
        ]
    );
    let either = "expected either `access: public`, or `action` and `resource`";
    check(&api.replacen("get: {x-countersign: {action: read}}", "get: {}", 1), &format!("api.yaml:2:16: {either}"));
    let both = api.replacen("{access: public}}", "{access: public, action: read}}", 1);
    check(&both, &format!("api.yaml:10:27: {either}"));
    check(
        &api.replacen("{action: read}", "{acton: read}", 1),
        "api.yaml:5:27: x-countersign: unknown field `acton`\n  help: did you mean `action`?",
    );
    check(
        &api.replacen("action: read", "action: red", 1).replacen("billing}\npaths", "biling}\npaths", 1),
        "api.yaml:2:27: `biling` is not a resource here\n  help: did you mean `billing`?
api.yaml:5:35: `red` is not an action here\n  help: did you mean `read`?",
    );
}

#[test]
fn where_the_paths_begin_is_written_and_not_guessed() {
    let servers = |url: &str| format!("{}servers: [{{url: \"{url}\"}}]\n", one("/a"));
    for url in ["https://billing.acme.test", "https://billing.acme.test/", "/", "http://{tenant}.acme.test:8080/?x"] {
        check(&servers(url), "");
    }
    let base = "write `basePath: /v2` beside `file`, or `basePath: /` if callers ask without it";
    for url in ["https://billing.acme.test/v2/", "/v2", "https://{tenant}.acme.test/v2#x"] {
        let why = format!(
            "api.yaml:4:17: `{url}` puts `/v2` before every path: whether callers ask with it is for the service to say"
        );
        check(&servers(url), &format!("{why}\n  help: {base}"));
    }
    for url in ["https://billing.acme.test/{version}", "v2", "//billing.acme.test/v2", "."] {
        let why = format!("api.yaml:4:17: `{url}` does not tell what stands before every path");
        let help = "write beside `file` what callers ask with: `basePath: /`, or such as `basePath: /v2`";
        check(&servers(url), &format!("{why}\n  help: {help}"));
    }
    let below = paths("  /a:\n    get: {x-countersign: {access: public}, servers: [{url: /v3}]}\n");
    check(
        &below,
        "api.yaml:4:60: `/v3` puts `/v3` before every path: whether callers ask with it is for the service to say
  help: write `basePath: /v3` beside `file`, or `basePath: /` if callers ask without it",
    );
    let with = |base: &str| format!("  openapi: {{file: api.yaml, basePath: {base}}}");
    for (base, expected) in
        [("/", "GET /a: public"), ("/v2", "GET /v2/a: public"), ("/api/v2", "GET /api/v2/a: public")]
    {
        assert_eq!(mapped(&with(base), "api.yaml", &servers("/v2")), [expected]);
        assert_eq!(mapped(&with(base), "api.yaml", &below), [expected]);
    }
    for base in ["v2", "/v2/", "/{v}", "/a b", "/../a", "//a", "/a?b"] {
        check_with(
            &with(&format!("\"{base}\"")),
            &one("/a"),
            &format!(
                "estate.yaml:103:39: `{base}`: expected `/`, or a path such as `/v2` without a brace and a `/` at its end"
            ),
        );
    }
}

#[test]
fn a_template_that_no_route_can_say_is_refused_with_a_way_out() {
    let segment = "a segment is literal text of unreserved characters, or one `{name}`";
    for (path, bad, way) in [
        ("/a/{x}.json", "{x}.json", "/a/{x}"),
        ("/{x}/{y}{z}", "{y}{z}", "/{x}/{y}"),
        ("/a/v{x}", "v{x}", "/a/{x}"),
        ("/a/{user.id}", "{user.id}", "/a/{user_id}"),
    ] {
        check(
            &one(&format!("\"{path}\"")),
            &format!(
                "api.yaml:3:{}: `GET {path}`: `{bad}`: {segment}
  help: leave it unmapped, with `unmapped: refuse`, and write `GET {way}` under `http`",
                path.len() + 8
            ),
        );
    }
    let path = "a path starts with `/`, does not end in `/`, and has at most 64 segments";
    check(&one("/a/"), &format!("api.yaml:3:9: `GET /a/`: `/a/`: {path}"));
    check(&one("/a b"), &format!("api.yaml:3:10: `GET /a b`: `a b`: {segment}"));
    check(&one("/{x}/{x}"), "api.yaml:3:14: `GET /{x}/{x}`: `{x}` stands in the path twice");
    check(&one("a"), "api.yaml:3:3: `a`: a path starts with `/`");
    // what is not mapped is no route, whatever its template
    let refused = "  openapi: {file: api.yaml, unmapped: refuse}";
    assert_eq!(mapped(refused, "api.yaml", &paths("  /a/{x}.json: {get: {}}\n")), Vec::<String>::new());
}

#[test]
fn trace_is_never_a_route() {
    let trace = |said: &str| paths(&format!("  /a: {{trace: {{{said}}}}}\n"));
    check(&trace("x-countersign: {access: public}"), "api.yaml:3:8: `TRACE /a`: `TRACE` cannot be mapped");
    check(
        &trace(""),
        "api.yaml:3:8: `TRACE /a` is not mapped
  help: the gateway refuses TRACE: take the operation out, or write `unmapped: refuse`",
    );
    assert!(mapped("  openapi: {file: api.yaml, unmapped: refuse}", "api.yaml", &trace("")).is_empty());
}

#[test]
fn only_the_versions_that_are_understood_are_read() {
    for version in ["3.0.0", "3.0.4", "3.1.0", "3.1.1", "\"3.0.1-rc\""] {
        check(&one("/a").replacen("3.1.0", version, 1), "");
    }
    for version in ["3.2.0", "2.0", "4.0.0", "3.0", "3.1", "3.0.x", "3"] {
        check(
            &one("/a").replacen("3.1.0", version, 1),
            &format!("api.yaml:1:10: `{version}`: expected a version of OpenAPI 3.0 or 3.1, such as `3.1.0`"),
        );
    }
    let swagger = "api.yaml:1:10: OpenAPI 2.0 (Swagger) is not read\n  help: convert it to OpenAPI 3.0 or 3.1";
    check(&one("/a").replacen("openapi: 3.1.0", "swagger: \"2.0\"", 1), swagger);
    check("openapi: 3.1.0\ninfo: {}\n", "api.yaml:1:1: OpenAPI: `paths` is missing");
    check("openapi: 3.1.0\npaths: []\n", "api.yaml:2:8: paths: expected a mapping");
    check("openapi: 3.1.0\npaths: {}\n", "api.yaml:2:8: the file describes no operation");
    check(&paths("  /a: {summary: x, x-y: {get: 1}}\n"), "api.yaml:3:3: the file describes no operation");
}

#[test]
fn what_is_not_openapi_is_told_at_its_place() {
    check(&paths("  /a: []\n"), "api.yaml:3:7: path item: expected a mapping");
    check(&paths("  /a: {gte: {}}\n"), "api.yaml:3:8: path item: unknown field `gte`\n  help: did you mean `get`?");
    check(&paths("  /a: {GET: {}}\n"), "api.yaml:3:8: path item: unknown field `GET`\n  help: did you mean `get`?");
    check(&paths("  /a: {get: 1}\n"), "api.yaml:3:13: operation: expected a mapping");
    check(&paths("  /a: {get: {operationId: [a]}}\n"), "api.yaml:3:27: expected text");
    check(&paths("  /a: {get: {tags: a}}\n"), "api.yaml:3:20: expected a list");
    check(&paths("  /a: {get: {tags: [{}]}}\n"), "api.yaml:3:21: expected text");
    check(&paths("  /a: {get: {x-countersign: read}}\n"), "api.yaml:3:29: x-countersign: expected a mapping");
    check(&paths("  /a: {servers: a, get: {}}\n"), "api.yaml:3:17: expected a list");
    check(&paths("  /a: {servers: [{}], get: {}}\n"), "api.yaml:3:18: server: `url` is missing");
    check(
        &paths("  /a: {get: {operationId: x}, put: {operationId: x}}\n"),
        "api.yaml:3:50: operationId `x` stands at line 3 already",
    );
    check(&format!("{}---\n{}", one("/a"), one("/b")), "api.yaml:5:1: an OpenAPI file has exactly one document");
}

#[test]
fn a_reference_is_followed_within_the_file_alone() {
    let at = |reference: &str, rest: &str| paths(&format!("  /a: {{$ref: \"{reference}\"}}\n{rest}"));
    let item = "  /b/{x}:\n    get: {x-countersign: {access: public}}\n";
    let components = "components:\n  pathItems:\n    a~b: {get: {x-countersign: {access: public}}}\n    c: {$ref: '#/components/pathItems/a~0b'}\n";
    let import = "  openapi: {file: api.yaml}";
    for (reference, rest, routes) in [
        ("#/paths/~1b~1%7Bx%7D", item, &["GET /a: public", "GET /b/{x}: public"][..]),
        ("#/components/pathItems/a~0b", components, &["GET /a: public"]),
        ("#/components/pathItems/c", components, &["GET /a: public"]),
    ] {
        assert_eq!(mapped(import, "api.yaml", &at(reference, rest)), routes, "{reference}");
    }
    for reference in ["other.yaml#/paths/~1b", "https://a.test/x.yaml", "/etc/passwd", ""] {
        let why = format!("api.yaml:3:14: `{reference}`: only references within the file are followed");
        check(&at(reference, item), &why);
    }
    for reference in ["#/paths/b", "#/paths/~1b~1%7bx%7d/get/none", "#paths", "#/%ff", "#/%zz"] {
        check(&at(reference, item), &format!("api.yaml:3:14: `{reference}` leads nowhere in this file"));
    }
    let circle = "more than 8 references lead from one to the next, or in a circle";
    check(&at("#/paths/~1a", ""), &format!("api.yaml:3:7: {circle}"));
    check(
        &paths("  /a: {$ref: '#/paths/~1b', get: {}}\n  /b: {get: {x-countersign: {access: public}}}\n"),
        "api.yaml:3:29: `get` stands beside a `$ref`: write it where that leads",
    );
    check(
        &paths("  /a: {get: {$ref: '#/paths/~1b/get'}}\n"),
        "api.yaml:3:20: an operation cannot be a `$ref`; its path item can",
    );
    check(&at("#/info", "info: 1\n"), "api.yaml:4:7: path item: expected a mapping");
}

#[test]
fn the_file_is_one_of_the_estate_and_of_a_service() {
    let import = |file: &str| format!("  openapi: {{file: {file}}}");
    assert_eq!(said(&import("../api.yaml"), "x.yaml", ""), "estate.yaml:103:19: `../api.yaml` lies outside the estate");
    assert_eq!(
        said(&import("api.json"), "api.yml", ""),
        "estate.yaml:103:19: the estate has no file `api.json` beside `estate.yaml`"
    );
    assert_eq!(
        said("  http: [{match: GET /, access: public}]", "api.yaml", API),
        "api.yaml:1:1: an OpenAPI file that no Service names
  help: name it: `openapi: {file: …}` in the Service that it describes"
    );
    // what belongs to the estate is read as that, and never passed over
    let document = "apiVersion: countersign.dev/v1\nkind: Group\nmetadata: {name: a}\nspec: {members: [nobody]}\n";
    let both = said(&import("more.yaml"), "more.yaml", document);
    assert!(both.contains("more.yaml:1:1: OpenAPI: `openapi` is missing"), "{both}");
    let dressed = said(&import("more.yaml"), "more.yaml", &format!("openapi: 3.1.0\npaths: {{}}\n{document}"));
    assert!(dressed.contains("more.yaml:1:1: document: unknown field `openapi`"), "{dressed}");
    let hidden = said(&import("api.yaml"), "api.yaml", &format!("{}---\n{document}", one("/a")));
    assert_eq!(hidden, "api.yaml:5:1: an OpenAPI file has exactly one document");
    assert_eq!(said("  limits: {}", "x.cedar", ""), "estate.yaml:101:3: Service: expected `http`, `openapi` or both");
    assert_eq!(said("  openapi: {}", "x.cedar", ""), "estate.yaml:103:12: openapi: `file` is missing");
}

#[test]
fn json_is_read_as_yaml_is() {
    let import = "  openapi: {file: api/billing.json}";
    let json = r#"{
	"openapi": "3.0.0", "info": {"title": "\ud83d\ude00"},
	"paths": {"\/a": {"get": {"x-countersign": {"action": "read", "resource": "billing"}}}}
}"#;
    assert_eq!(mapped(import, "api/billing.json", json), ["GET /a: read billing"]);
    let said = |json: &str| said(import, "api/billing.json", json);
    assert_eq!(
        said(&json.replace("\"read\"", "\"raed\"")),
        "api/billing.json:3:56: `raed` is not an action here\n  help: did you mean `read`?"
    );
    assert_eq!(
        said(&json.replace("\"resource\": \"billing\"", "\"action\": \"write\"")),
        "api/billing.json:3:64: key `action` stands here twice"
    );
    assert!(said("{").starts_with("api/billing.json:2:1: not YAML: "), "{}", said("{"));
    assert_eq!(said(""), "api/billing.json:1:1: an OpenAPI file has exactly one document");
}

#[test]
fn a_change_of_the_file_is_a_change_of_its_service() {
    let digest = |api: &str| {
        let start = QUICKSTART.find("  http:\n").unwrap();
        let yaml = format!("{}  openapi: {{file: api.json}}\n", &QUICKSTART[..start]);
        let files =
            [("estate.yaml", yaml.as_str()), ("a.cedar", POLICY), ("keys/platform.jwks.json", KEYS), ("api.json", api)];
        let bundle = Bundle::new(files.map(|(name, text)| (name.to_owned(), text.to_owned())));
        let estate = load(&bundle, &dev(), &[], None, now()).map_err(|problems| problems[0].to_string()).unwrap();
        estate.documents[&("Service".to_owned(), "billing-api".to_owned())]
    };
    let api = r#"{"openapi": "3.1.0", "paths": {"/a": {"get": {"x-countersign": {"access": "public"}}}}}"#;
    assert_ne!(digest(api), digest(&api.replace("/a", "/b")));
}

#[test]
fn a_described_api_is_bounded() {
    let many = |count: usize| {
        let paths: String =
            (0..count).map(|n| format!("  /{n}: {{get: {{x-countersign: {{access: public}}}}}}\n")).collect();
        format!("openapi: 3.1.0\npaths:\n{paths}")
    };
    assert_eq!(mapped("  openapi: {file: api.yaml}", "api.yaml", &many(600)).len(), 600);
    check(&many(4097), "api.yaml:4099:11: an OpenAPI file has at most 4096 operations");
    // a reference may lead to many operations again and again
    let all: String = ["get", "put", "post", "delete", "options", "head", "patch"]
        .map(|method| format!("{method}: {{x-countersign: {{access: public}}}}, "))
        .concat();
    let again: String = (0..600).map(|n| format!("  /{n}: {{$ref: '#/x'}}\n")).collect();
    check(
        &format!("openapi: 3.1.0\nx: {{{all}}}\npaths:\n{again}"),
        "api.yaml:2:45: an OpenAPI file has at most 4096 operations",
    );
    let entries = "{operationId: a, access: public}, ".repeat(4097);
    check_with(
        &format!("  openapi: {{file: api.yaml, mapping: [{entries}]}}"),
        API,
        "estate.yaml:103:38: a mapping has at most 4096 entries",
    );
}

#[test]
fn no_bytes_make_the_import_panic() {
    let service = "  openapi: {file: api.json, mapping: [{operationId: dropInvoice, access: public}]}";
    let json = r##"{"openapi":"3.0.1","servers":[{"url":"/"}],"paths":{"/a":{"$ref":"#/x~1y"},"/b/{c}":{"get":{"operationId":"dropInvoice","tags":["t"]},"x-countersign":{"action":"read","resource":"billing"}}},"x/y":{"put":{"x-countersign":{"access":"public"}}}}"##;
    for (service, file, seed) in [
        (service, "api.json", json),
        ("  openapi: {file: api.yaml, unmapped: refuse}", "api.yaml", API),
        (
            "  openapi: {file: api.yaml, basePath: /v1}",
            "api.yaml",
            include_str!("../../../../../examples/openapi/billing.openapi.yaml"),
        ),
    ] {
        testkit::mutate(seed.as_bytes(), 400, |bytes| {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            // whatever it says of them: that it says something is the point
            if let Ok(services) = estate(service, file, text) {
                assert!(services.iter().all(|service| service.places.len() == service.routes.iter().count()));
            }
        });
    }
}
